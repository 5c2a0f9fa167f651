"""Atomic file writes: a reader sees either the old content or the new, never a part."""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write `data` to `path`: temporary file in the same folder, fsync, rename.

    Missing parent folders are created. The permissions of an existing file are kept. If `replace`
    is false and the file exists, FileExistsError is raised. On OSError the old content is kept, and
    the temporary file removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A short name of its own: `path.name` plus a suffix could exceed what the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            _move_to_free_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _move_to_free_place(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename it fails where there is something
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        temporary.replace(path)
    else:
        temporary.unlink()
