"""LoRA, hypernetworks and embeddings in folders, as A1111 lays them out.

Source: spec networks.md 2.1, 3, 6; prompts.md 7.1.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from adapters.storage import networks_reading as reading
from adapters.storage.folders import files_below
from domain.checkpoints import Checkpoint
from domain.networks import Embedding, Hypernetwork, Lora

log = logging.getLogger(__name__)


class FileNetworks:
    """A `NetworkCatalog` over folders of files. Looks when first asked, then at each refresh."""

    def __init__(self, *, loras: Sequence[Path], embeddings: Path, hypernetworks: Path) -> None:
        self._lora_folders = tuple(loras)
        self._embedding_folder = embeddings
        self._hypernetwork_folder = hypernetworks
        self._lock = threading.Lock()
        self._loras: Sequence[Lora] | None = None
        self._embeddings: Sequence[Embedding] | None = None

    def loras(self) -> Sequence[Lora]:
        if self._loras is None:
            self.refresh_loras()
        return self._loras or ()

    def refresh_loras(self) -> None:
        with self._lock:
            paths = [
                path for folder in self._lora_folders for path in _files(folder, reading.LORAS)
            ]
            self._loras = reading.by_name(reading.lora(path, path.open) for path in paths)

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        return reading.hypernetworks(_files(self._hypernetwork_folder, reading.HYPERNETWORKS))

    def embeddings(self) -> Sequence[Embedding]:
        if self._embeddings is None:
            self.refresh_embeddings()
        return self._embeddings or ()

    def refresh_embeddings(self) -> None:
        with self._lock:
            paths = _files(self._embedding_folder, reading.EMBEDDINGS)
            self._embeddings = reading.by_name(reading.embedding(path, path.open) for path in paths)

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        path = Path(checkpoint.filename)
        try:
            return _text_width(path, path.stat().st_mtime_ns)
        except OSError:
            return None


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    def wanted(name: str) -> bool:
        return name.lower().endswith(endings) and not name.startswith(".")

    for path in files_below(Path(os.path.abspath(folder)), wanted):
        try:
            str(path).encode()
        except UnicodeEncodeError:
            log.warning("skipping a file whose name is not UTF-8: %r", str(path))
        else:
            yield path


@lru_cache(maxsize=64)
def _text_width(path: Path, modified: int) -> int | None:
    return reading.width(path, path.open)
