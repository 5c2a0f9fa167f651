"""Networks that are only bytes in memory: the twin of `networks_files`."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import IO

from adapters.storage import networks_reading as reading
from domain.checkpoints import Checkpoint, natural_key
from domain.networks import Embedding, Hypernetwork, Lora


class MemoryNetworks:
    """A `NetworkCatalog` over `files`: contents by path, which the owner may change meanwhile.

    Paths begin with "Lora/", "LyCORIS/", "hypernetworks/", "embeddings/" or
    "Stable-diffusion/".
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._loras: Sequence[Lora] = ()
        self._embeddings: Sequence[Embedding] = ()
        self.refresh_loras()
        self.refresh_embeddings()

    def loras(self) -> Sequence[Lora]:
        return self._loras

    def refresh_loras(self) -> None:
        with self._lock:
            paths = [p for top in ("Lora", "LyCORIS") for p in self._below(top, reading.LORAS)]
            self._loras = reading.by_name(reading.lora(p, self._opener(p)) for p in paths)

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        return reading.hypernetworks(self._below("hypernetworks", reading.HYPERNETWORKS))

    def embeddings(self) -> Sequence[Embedding]:
        return self._embeddings

    def refresh_embeddings(self) -> None:
        with self._lock:
            paths = self._below("embeddings", reading.EMBEDDINGS)
            self._embeddings = reading.by_name(reading.embedding(p, self._opener(p)) for p in paths)

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
