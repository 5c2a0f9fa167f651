"""What every archive asks of a path before it follows it."""

from pathlib import Path, PureWindowsPath

from hexfusion.domain.errors import InvalidRequest

#: Bytes that file systems take: in one name (ext4, XFS, NTFS, APFS), and in a path (Linux).
_NAME, _PATH = 255, 4096


def checked_path(path: str) -> str:
    """`path` in plain form, made sure not to climb and not to change drives, on any system.

    It may be absolute; whether that is allowed is for the archive to say. Raises InvalidRequest.
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
    """Whether the path has no halves of surrogate pairs, which file systems do not take."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
