"""Validates the paths of an image archive."""

from pathlib import Path, PureWindowsPath

from hexfusion.domain.errors import InvalidRequest

#: Longest file name (ext4, XFS, NTFS, APFS) and longest path (Linux), in bytes.
_NAME, _PATH = 255, 4096


def checked_path(path: str) -> str:
    """`path` with `/` as separator, checked for `..` and drive letters on all systems.

    It may be absolute; the archive decides whether that is allowed. Raises InvalidRequest("path",
    ...) for an invalid path.
    """
    windows = PureWindowsPath(path)  # splits at both kinds of slash, and knows drives
    native = Path(path)
    strange = windows.anchor and not native.is_absolute()
    if not windows.parts or strange or ".." in windows.parts or "\0" in path or not _encodes(path):
        raise InvalidRequest("path", f"{path!r} is no path inside the archive")
    if len(path.encode()) > _PATH or any(len(part.encode()) > _NAME for part in native.parts):
        raise InvalidRequest("path", f"{path[:80]!r}... is too long a path")
    return native.as_posix()


def _encodes(path: str) -> bool:
    """Whether the path can be encoded as UTF-8: it has no unpaired surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
