"""Writing a file so that a reader sees the old content or the new, never half of it."""

import contextlib
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of `path` by `data`: temporary file beside it, fsync, rename.

    Missing parent folders are made. An existing file keeps its permissions. After an OSError the
    old content is still there, and no temporary file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A short name of its own: `path.name` plus a suffix could exceed what the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
