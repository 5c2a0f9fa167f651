"""Reads the metadata of extra-network files (LoRA, hypernetwork, embedding).

Functions take the file's path and a function that opens it, such as `path.open` or an in-memory
equivalent. A file that cannot be read is logged.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import IO, Protocol, TypeVar

import msgspec

from hexfusion.adapters.storage.catalogues.tensor_files import read_content, read_header, shapes_in
from hexfusion.application.pictures.embedded_embeddings import embedded_in
from hexfusion.domain.extra_networks import (
    Embedding,
    Hypernetwork,
    Lora,
    embedding_of,
    metadata_for_listing,
    shape_of,
    text_width,
)
from hexfusion.domain.vaes import own_halves

LORAS = (".pt", ".ckpt", ".safetensors")
PICTURES = (".png", ".webp", ".jxl", ".avif")
EMBEDDINGS = (".pt", ".bin", ".safetensors", *PICTURES)
HYPERNETWORKS = (".pt",)

_log = logging.getLogger(__name__)
T = TypeVar("T")
N = TypeVar("N", Lora, Embedding)


class Open(Protocol):
    def __call__(self, mode: str, /) -> IO[bytes]: ...


def lora(path: PurePath, open: Open) -> Lora:
    """The LoRA in a file; without metadata if it cannot be read."""
    metadata: Mapping[str, str] | None = None
    if has_header(path):
        metadata = _read(path, open, lambda file: read_header(file).metadata)
    return Lora(
        name=path.stem,
        path=str(path),
        metadata=metadata_for_listing(metadata or {}),
        hash=(metadata or {}).get("sshs_model_hash") or None,
    )


def has_header(path: PurePath) -> bool:
    """Whether the file is a safetensors file, whose hash leaves out the header."""
    return path.suffix.lower() == ".safetensors"


def embedding(path: PurePath, open: Open) -> Embedding | None:
    """The embedding in a file, None if it has none; logged, except for pictures."""
    if path.suffix.lower() in PICTURES:
        return _pictured(path, open)
    content = _read(path, open, lambda file: read_content(file, path.suffix))
    found = embedding_of(path.stem, content)
    if content is not None and found is None:
        _log.warning("%s holds no embedding", path)
    return found and msgspec.structs.replace(found, path=str(path))


def _pictured(path: PurePath, open: Open) -> Embedding | None:
    if PurePath(path.stem).suffix == ".preview":
        return None
    content = _read(path, open, lambda file: embedded_in(file, shape_of))
    name = content.get("name") if isinstance(content, dict) else None
    found = embedding_of(name if isinstance(name, str) and name else path.stem, content)
    return found and msgspec.structs.replace(found, path=str(path))


def hypernetworks(paths: Iterable[PurePath]) -> Sequence[Hypernetwork]:
    """The hypernetworks in these files, by path ignoring case; a file called None is left out
    (spec networks.md 3)."""
    ordered = sorted(paths, key=lambda path: str(path).lower())
    by_name = {path.stem: str(path) for path in ordered if path.stem != "None"}
    return [Hypernetwork(name=name, path=path) for name, path in by_name.items()]


def width(path: PurePath, open: Open) -> int | None:
    """Width of a checkpoint's token embeddings, None if unknown; see `domain.extra_networks`."""
    return _read(path, open, lambda file: text_width(shapes_in(file, path.suffix)))


def vae_halves(path: PurePath, open: Open) -> Collection[str] | None:
    """The halves of a VAE in a checkpoint, None if unknown; see `domain.vaes.own_halves`."""
    return _read(path, open, lambda file: own_halves(shapes_in(file, path.suffix)))


def by_name(found: Iterable[N | None]) -> Sequence[N]:
    """The networks without None; of two with the same name the later replaces the earlier."""
    return tuple({each.name: each for each in found if each is not None}.values())


def _read(path: PurePath, open: Open, read: Callable[[IO[bytes]], T]) -> T | None:
    try:
        with open("rb") as file:
            return read(file)
    except (OSError, ValueError) as error:
        _log.warning("cannot read %s: %s", path, error)
        return None
