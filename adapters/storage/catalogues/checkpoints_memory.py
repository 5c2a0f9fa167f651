"""In-memory catalogue of checkpoints, for tests; the counterpart of `checkpoints_files`."""

import hashlib
import threading
from collections.abc import Mapping, Sequence

import msgspec

from hexfusion.domain.checkpoints import Checkpoint, find, natural_key
from hexfusion.domain.errors import NotFound


class MemoryCatalog:
    """A `ModelCatalog` over `files`, a mapping of names to contents, which the caller may change.

    Ordered like files: by folder, then by name.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._hashes: dict[str, str] = {}
        self._found: tuple[Checkpoint, ...] = ()
        self.refresh()

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self._found

    def refresh(self, *, hidden: bool = True) -> None:
        with self._lock:
            names = sorted(self._files, key=_folder_then_name)
            self._found = tuple(self._describe(name) for name in names if _shown(name, hidden))

    def resolve(self, name: str) -> Checkpoint:
        checkpoint = find(self._found, name)
        if checkpoint is None:
            raise NotFound("checkpoint", name)
        return checkpoint

    def hash(self, checkpoint: Checkpoint) -> Checkpoint:
        with self._lock:
            if checkpoint.name not in self._files:
                raise NotFound("checkpoint", checkpoint.name)
            sha256 = hashlib.sha256(self._files[checkpoint.name]).hexdigest()
            self._hashes[checkpoint.name] = sha256
            hashed = msgspec.structs.replace(checkpoint, sha256=sha256)
            self._found = tuple(
                hashed if each.name == checkpoint.name else each for each in self._found
            )
            return hashed

    def _describe(self, name: str) -> Checkpoint:
        middle = self._files[name][0x100000:0x110000]
        return Checkpoint(
            name=name,
            filename=f"/memory/{name}",
            legacy_hash=hashlib.sha256(middle).hexdigest()[:8],
            sha256=self._hashes.get(name),
        )


def _folder_then_name(name: str) -> tuple[object, ...]:
    folder, _, last = name.rpartition("/")
    return natural_key(folder), natural_key(last)


def _shown(name: str, hidden: bool) -> bool:
    *folders, file = name.split("/")
    return not file.startswith(".") and (
        hidden or not any(folder.startswith(".") for folder in folders)
    )
