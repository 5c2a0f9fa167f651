"""Catalogue of LoRA, hypernetwork and embedding files, in A1111's folder layout.

Source: spec networks.md 2.1, 3, 6; prompts.md 7.1.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.catalogues import extra_network_metadata as reading
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.folders import files_below, opener
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import NotFound
from hexfusion.domain.extra_networks import Embedding, Hypernetwork, Lora

log = logging.getLogger(__name__)


class FileNetworks:
    """A `NetworkCatalog` over folders of files. Reads them at first use and at each refresh."""

    def __init__(
        self, hashes: HashCache, *, loras: Sequence[Path], embeddings: Path, hypernetworks: Path
    ) -> None:
        self._hashes = hashes
        self._lora_folders = tuple(loras)
        self._embedding_folder = embeddings
        self._hypernetwork_folder = hypernetworks
        self._lock = threading.Lock()
        self._loras: Sequence[Lora] | None = None
        self._embeddings: Sequence[Embedding] | None = None
        self._embeddings_seen: int | None = None

    def loras(self) -> Sequence[Lora]:
        if self._loras is None:
            self.refresh_loras()
        return self._loras or ()

    def refresh_loras(self) -> None:
        with self._lock:
            paths = [
                path for folder in self._lora_folders for path in _files(folder, reading.LORAS)
            ]
            self._loras = reading.by_name(map(self._lora, paths))

    def _lora(self, path: Path) -> Lora | None:
        try:
            stat = path.stat()
        except OSError as error:
            log.warning("cannot read %s: %s", path, error)
            return None
        lora = _read_lora(path, stat.st_mtime_ns, stat.st_size)
        if lora.hash is None:
            tensors = reading.has_header(path)
            known = self._hashes.get(_key(lora), stat.st_mtime, stat.st_size, tensors=tensors)
            return msgspec.structs.replace(lora, hash=known)
        return lora

    def hash_lora(self, lora: Lora) -> Lora:
        path = Path(lora.path)
        known = self._lora(path)
        if known is None:
            raise NotFound("LoRA", lora.name)
        if known.hash is None:
            try:
                tensors = reading.has_header(path)
                hash = self._hashes.sha256(_key(lora), path, tensors=tensors)
            except OSError as error:
                raise NotFound("LoRA", lora.name) from error
            known = msgspec.structs.replace(known, hash=hash)
        with self._lock:
            listed = self._loras or ()
            self._loras = [known if each.path == known.path else each for each in listed]
        return known

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        return reading.hypernetworks(_files(self._hypernetwork_folder, reading.HYPERNETWORKS))

    def embeddings(self) -> Sequence[Embedding]:
        if self._embeddings is None or self._embeddings_seen != self._folder_changed():
            self.refresh_embeddings()
        return self._embeddings or ()

    def _folder_changed(self) -> int | None:
        """Modification time of the folder itself, in ns, not of sub-folders (spec prompts.md
        7.4)."""
        try:
            return self._embedding_folder.stat().st_mtime_ns
        except OSError:
            return None

    def hash_embedding(self, embedding: Embedding) -> Embedding:
        key = f"textual_inversion/{embedding.name}"
        try:
            hash = self._hashes.sha256(key, Path(embedding.path))
        except OSError as error:
            raise NotFound("embedding", embedding.name) from error
        return msgspec.structs.replace(embedding, hash=hash)

    def refresh_embeddings(self) -> None:
        with self._lock:
            self._embeddings_seen = self._folder_changed()
            paths = _files(self._embedding_folder, reading.EMBEDDINGS)
            found = (reading.embedding(path, opener(path)) for path in paths)
            self._embeddings = reading.by_name(found)

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        path = Path(checkpoint.filename)
        try:
            return _text_width(path, path.stat().st_mtime_ns)
        except OSError:
            return None


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    def wanted(name: str) -> bool:
        return name.lower().endswith(endings)

    for path in files_below(Path(os.path.abspath(folder)), wanted):
        try:
            str(path).encode()
        except UnicodeEncodeError:
            log.warning("skipping a file whose name is not UTF-8: %r", str(path))
        else:
            yield path


def _key(lora: Lora) -> str:
    """A1111's key for the hash cache (spec networks.md 1.3)."""
    return f"lora/{lora.name}"


@lru_cache(maxsize=4096)
def _read_lora(path: Path, modified: int, size: int) -> Lora:
    return reading.lora(path, opener(path))


@lru_cache(maxsize=64)
def _text_width(path: Path, modified: int) -> int | None:
    return reading.width(path, opener(path))
