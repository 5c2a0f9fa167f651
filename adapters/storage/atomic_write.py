"""Writing a file so that a reader sees the old content or the new, never half of it."""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Make `data` the content of `path`: temporary file beside it, fsync, rename.

    Missing parent folders are made. An existing file keeps its permissions, or, if `replace` is
    false, its content too: FileExistsError is raised. After an OSError the old content is still
    there, and no temporary file is left.
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
