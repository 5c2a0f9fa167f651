"""Atomic file writes: a reader sees either the old content or the new, never a part."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

#: Suffix of files that are being written; those of a process that was killed may be deleted.
UNFINISHED = ".tmp"


def write_atomically(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write `data` to `path`: temporary file in the same folder, fsync, rename, fsync the folder.

    Missing parent folders are created. The permissions of an existing file are kept. If `replace`
    is false and the file exists, FileExistsError is raised. On OSError the old content is kept, and
    the temporary file removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chunks(path, [data], replace=replace)


def write_chunks(path: Path, chunks: Iterable[bytes], *, replace: bool = True) -> None:
    """The same, of chunks, into a folder that is there.

    Whatever exception comes out of the chunks ends it as an OSError does.
    """
    # A short name of its own: `path.name` plus a suffix could exceed what the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        with temporary.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            _move_to_free_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the error that matters is the first one
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, where the system can do that."""
    with contextlib.suppress(OSError):  # no descriptors for folders, or no fsync of them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
