"""A persistent cache of the sha256 of model files.

The cache file has the format of A1111's `cache.json`, and an existing one is used. Source: spec
networks.md 1.3.
"""

import hashlib
import json
import logging
import threading
from pathlib import Path
from typing import IO

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.folders import open_file

#: Sections of the cache file: hashes of whole files, and of safetensors files without the header.
_WHOLE, _TENSORS = "hashes", "hashes-addnet"

log = logging.getLogger(__name__)


class HashCache:
    """sha256 by key ("checkpoint/<name>"), valid while the file is unchanged. Thread-safe.

    A damaged cache file counts as empty. If it cannot be written, a warning is logged, and hashes
    are computed again after the next start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._hashing = threading.Lock()
        self._content: dict[str, dict[str, object]] | None = None

    def sha256(self, key: str, path: Path, *, tensors: bool = False) -> str:
        """The sha256 of the file at `path`, from the cache or computed now. Raises OSError.

        With `tensors` the header of a safetensors file is left out, so that editing the metadata
        does not change the hash.
        """
        with self._hashing:  # two threads that want the same sum compute it once
            stat = path.stat()
            known = self.get(key, stat.st_mtime, stat.st_size, tensors=tensors)
            if known is None:
                with open_file(path) as file:
                    if tensors:
                        _skip_header(file)
                    known = hashlib.file_digest(file, "sha256").hexdigest()
                self.put(key, stat.st_mtime, stat.st_size, known, tensors=tensors)
            return known

    def get(self, key: str, mtime: float, size: int, *, tensors: bool = False) -> str | None:
        """The sha256 in lower-case hex, None if unknown or out of date.

        A1111 stores no size, and considers a file unchanged unless it is newer. For entries with a
        size, both must be equal, so that replacing a file by an older one is detected, even by one
        of the same size (VAEs mostly have the same).
        """
        with self._lock:
            match self._load().get(_TENSORS if tensors else _WHOLE, {}).get(key):
                case {"mtime": int() | float() as cached, "sha256": str(sha256), **rest}:
                    ours = "size" in rest
                    current = (mtime, size) == (cached, rest["size"]) if ours else mtime <= cached
                    return sha256.lower() if current and _is_sha256(sha256) else None
        return None

    def put(self, key: str, mtime: float, size: int, sha256: str, *, tensors: bool = False) -> None:
        """Store a hash, and write the cache file."""
        with self._lock:
            content = self._load()
            entry = {"mtime": mtime, "sha256": sha256, "size": size}
            content.setdefault(_TENSORS if tensors else _WHOLE, {})[key] = entry
            try:
                write_atomically(self._path, json.dumps(content, indent=4).encode())
            except OSError as error:
                log.warning("cannot save checksums to %s: %s", self._path, error)

    def _load(self) -> dict[str, dict[str, object]]:
        if self._content is None:
            self._content = _read(self._path)
        return self._content


def _skip_header(file: IO[bytes]) -> None:
    length = int.from_bytes(file.read(8), "little")
    file.seek(8 + min(length, 2**40))  # a damaged file may claim one of any length


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("ignoring damaged checksums in %s: %s", path, error)
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: part for name, part in content.items() if isinstance(part, dict)}


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in text)
