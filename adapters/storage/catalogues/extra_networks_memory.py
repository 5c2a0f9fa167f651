"""In-memory catalogue of extra networks, for tests; the counterpart of `extra_networks_files`."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import IO

import msgspec

from hexfusion.adapters.storage.catalogues import extra_network_metadata as reading
from hexfusion.domain.checkpoints import Checkpoint, natural_key
from hexfusion.domain.errors import NotFound
from hexfusion.domain.extra_networks import Embedding, Hypernetwork, Lora


class MemoryNetworks:
    """A `NetworkCatalog` over `files`, a mapping of paths to contents, which the caller may change.

    Paths begin with "Lora/", "LyCORIS/", "hypernetworks/", "embeddings/" or
    "Stable-diffusion/".
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._loras: Sequence[Lora] = ()
        self._embeddings: Sequence[Embedding] = ()
        self._seen: Sequence[PurePosixPath] = ()
        self.refresh_loras()
        self.refresh_embeddings()

    def loras(self) -> Sequence[Lora]:
        return self._loras

    def refresh_loras(self) -> None:
        with self._lock:
            paths = [p for top in ("Lora", "LyCORIS") for p in self._below(top, reading.LORAS)]
            self._loras = reading.by_name(reading.lora(p, self._opener(p)) for p in paths)

    def hash_lora(self, lora: Lora) -> Lora:
        path = PurePosixPath(lora.path)
        computed = self._sha256("LoRA", lora, reading.has_header(path))
        in_metadata = reading.lora(path, self._opener(path)).hash
        known = msgspec.structs.replace(lora, hash=in_metadata or computed)
        with self._lock:
            self._loras = [known if each.path == lora.path else each for each in self._loras]
        return known

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        return reading.hypernetworks(self._below("hypernetworks", reading.HYPERNETWORKS))

    def embeddings(self) -> Sequence[Embedding]:
        if [*self._below("embeddings", reading.EMBEDDINGS)] != self._seen:
            self.refresh_embeddings()
        return self._embeddings

    def refresh_embeddings(self) -> None:
        with self._lock:
            paths = self._seen = [*self._below("embeddings", reading.EMBEDDINGS)]
            self._embeddings = reading.by_name(reading.embedding(p, self._opener(p)) for p in paths)

    def hash_embedding(self, embedding: Embedding) -> Embedding:
        hash = self._sha256("embedding", embedding)
        return msgspec.structs.replace(embedding, hash=hash)

    def _sha256(self, kind: str, network: Lora | Embedding, headless: bool = False) -> str:
        if network.path not in self._files:
            raise NotFound(kind, network.name)
        content = self._files[network.path]
        start = 8 + int.from_bytes(content[:8], "little") if headless else 0
        return hashlib.sha256(content[start:]).hexdigest()

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        path = PurePosixPath(checkpoint.filename)
        return reading.width(path, self._opener(path)) if str(path) in self._files else None

    def _below(self, top: str, endings: tuple[str, ...]) -> Iterator[PurePosixPath]:
        paths = [PurePosixPath(each) for each in self._files]
        wanted = [
            path
            for path in paths
            if path.parts[0] == top
            and path.name.lower().endswith(endings)
            and not path.name.startswith(".")
        ]
        yield from sorted(wanted, key=lambda p: (natural_key(str(p.parent)), natural_key(p.name)))

    def _opener(self, path: PurePosixPath) -> reading.Open:
        return partial(_open, self._files[str(path)])


def _open(content: bytes, mode: str) -> IO[bytes]:
    return BytesIO(content)
