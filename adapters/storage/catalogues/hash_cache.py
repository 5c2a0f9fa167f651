"""Checksums of files, remembered on disk so that each file is read for it only once.

The file has the layout of A1111's `cache.json`, so one that exists already is of use. Source:
spec networks.md 1.3.
"""

import hashlib
import json
import logging
import threading
from pathlib import Path
from typing import IO

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.folders import open_file

#: Where checksums of whole files are kept, and those of safetensors files without their headers.
_WHOLE, _TENSORS = "hashes", "hashes-addnet"

log = logging.getLogger(__name__)


class HashCache:
    """sha256 by key ("checkpoint/<name>"), valid while the file is the same.

    Safe to use from many threads. A damaged cache file counts as empty; one that cannot be
    written costs nothing but the next start's time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._hashing = threading.Lock()
        self._content: dict[str, dict[str, object]] | None = None

    def sha256(self, key: str, path: Path, *, tensors: bool = False) -> str:
        """That of the file at `path`, read now unless it is remembered. Raises OSError.

        With `tensors`, of what comes behind a safetensors file's header, which so can be edited.
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

        A1111 notes no size, and takes any file that is not newer for the same. Where one was noted
        both must agree, so that a file replaced by an older one is noticed, even by one of the same
        size, as VAEs mostly are.
        """
        with self._lock:
            match self._load().get(_TENSORS if tensors else _WHOLE, {}).get(key):
                case {"mtime": int() | float() as cached, "sha256": str(sha256), **rest}:
                    ours = "size" in rest
                    current = (mtime, size) == (cached, rest["size"]) if ours else mtime <= cached
                    return sha256.lower() if current and _is_sha256(sha256) else None
        return None

    def put(self, key: str, mtime: float, size: int, sha256: str, *, tensors: bool = False) -> None:
        """Remember, and write the file."""
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
