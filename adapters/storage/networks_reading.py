"""What a file of a small network says of itself, wherever it lies.

Every function takes the file's path and what opens it, `path.open` or its like in memory. A file
that cannot be read is told of in the log.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import IO, Protocol, TypeVar

from adapters.storage.tensor_files import read_content, read_header, shapes_in
from domain.networks import (
    Embedding,
    Hypernetwork,
    Lora,
    embedding_of,
    shown_metadata,
    text_width,
)

LORAS = (".pt", ".ckpt", ".safetensors")
EMBEDDINGS = (".pt", ".bin", ".safetensors")
HYPERNETWORKS = (".pt",)

_log = logging.getLogger(__name__)
T = TypeVar("T")
N = TypeVar("N", Lora, Embedding)


class Open(Protocol):
    def __call__(self, mode: str, /) -> IO[bytes]: ...


def lora(path: PurePath, open: Open) -> Lora:
    """One that cannot be read has no metadata, but is there."""
    metadata: Mapping[str, str] | None = None
    if path.suffix.lower() == ".safetensors":
        metadata = _read(path, open, lambda file: read_header(file).metadata)
    return Lora(name=path.stem, path=str(path), metadata=shown_metadata(metadata or {}))


def embedding(path: PurePath, open: Open) -> Embedding | None:
    """None for a file that holds none."""
    content = _read(path, open, lambda file: read_content(file, path.suffix))
    found = embedding_of(path.stem, content)
    if content is not None and found is None:
        _log.warning("%s holds no embedding", path)
    return found


def hypernetworks(paths: Iterable[PurePath]) -> Sequence[Hypernetwork]:
    """By path, capitals or not; the word None is no name (spec networks.md 3)."""
    ordered = sorted(paths, key=lambda path: str(path).lower())
    by_name = {path.stem: str(path) for path in ordered if path.stem != "None"}
    return [Hypernetwork(name=name, path=path) for name, path in by_name.items()]


def width(path: PurePath, open: Open) -> int | None:
    """The width of a checkpoint's token embeddings."""
    return _read(path, open, lambda file: text_width(shapes_in(file, path.suffix)))


def by_name(found: Iterable[N | None]) -> Sequence[N]:
    """Of equal names the later takes the earlier's place."""
    return tuple({each.name: each for each in found if each is not None}.values())


def _read(path: PurePath, open: Open, read: Callable[[IO[bytes]], T]) -> T | None:
    try:
        with open("rb") as file:
            return read(file)
    except (OSError, ValueError) as error:
        _log.warning("cannot read %s: %s", path, error)
        return None
