"""Detects icons and Netpbm files that are disproportionately expensive to read.

Source: Netpbm's ppm(5), pgm(5), pbm(5); Windows' ICO and its BITMAPINFOHEADER. Pillow decodes an
icon's picture when the file is opened, whatever size the icon's directory tells, and decodes
numbers in text, and samples of an odd maximum, in Python: some 2 seconds for a million pixels.
"""

import re
import struct

from PIL.Image import Image

#: Most pixels of a picture in an icon, and most pictures; the directory has room for 256x256.
MAX_ICON, MAX_ICONS = 2048 * 2048, 256
#: Most bytes of a Netpbm file's header, which is read byte by byte.
MAX_HEADER = 4096
#: Most comments of a Netpbm file of numbers in text: each one moves the rest of its block.
MAX_COMMENTS = 100
#: Most samples (pixels times channels) of a Netpbm picture that is decoded in Python.
MAX_SAMPLES = 4 * 2**20

_ICON = b"\0\0\1\0"
_PNG = b"\x89PNG\r\n\x1a\n"
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])"
#: The kind, width, height, and for all but bitmaps the maximum; one white space ends it.
_HEADER = re.compile(rb"P(?:[14]|\S{1,5}%s+\d+)%s+\d+%s+\S+\s" % (_SPACE, _SPACE, _SPACE))


def why_costly_icon(data: bytes) -> str | None:
    """Why an icon is too expensive; None if it is not, and for other formats."""
    if not data.startswith(_ICON) or len(data) < 6:
        return None
    (count,) = struct.unpack_from("<H", data, 4)
    if count > MAX_ICONS:
        return f"an icon may have {MAX_ICONS} pictures"
    entries = min(count, (len(data) - 6) // 16)
    offsets = (struct.unpack_from("<L", data, 6 + 16 * number + 12)[0] for number in range(entries))
    if any(_pixels(data, offset) > MAX_ICON for offset in offsets):
        return f"an icon's picture may have {MAX_ICON} pixels"
    return None


def _pixels(data: bytes, offset: int) -> int:
    """Pixels of the PNG or bitmap at `offset`; 0 where there is none."""
    if data.startswith(_PNG, offset):
        return _product(data, ">LL", offset + 16)
    if data.startswith(b"\x0c\0\0\0", offset):  # the header of OS/2
        return _product(data, "<HH", offset + 4)
    return _product(data, "<ll", offset + 4)


def _product(data: bytes, format: str, offset: int) -> int:
    if offset + struct.calcsize(format) > len(data):
        return 0
    width, height = struct.unpack_from(format, data, offset)
    return abs(width * height)


def why_costly_netpbm(data: bytes) -> str | None:
    """Why a PBM, PGM, PPM or PFM file is too expensive, judged before it is opened; None if it is
    not, and for other formats."""
    if data[:1] != b"P" or data[1:2] not in b"0123456fy" or len(data) < 3:
        return None
    if not _HEADER.match(data[:MAX_HEADER]) and len(data) > MAX_HEADER:
        return f"a Netpbm file's header may have {MAX_HEADER} bytes"
    if data[1:2] in b"123" and data.count(b"#") > MAX_COMMENTS:
        return f"a Netpbm file of numbers in text may have {MAX_COMMENTS} comments"
    return None


def why_costly_samples(opened: Image) -> str | None:
    """Why an opened Netpbm picture, not decoded yet, is too expensive; None if it is not."""
    if opened.format != "PPM" or not any(str(tile[0]) != "raw" for tile in _tiles(opened)):
        return None
    if opened.width * opened.height * len(opened.getbands()) <= MAX_SAMPLES:
        return None
    return (
        f"a Netpbm picture of numbers in text, or of an odd maximum, may have {MAX_SAMPLES} samples"
    )


def _tiles(opened: Image) -> list[tuple[object, ...]]:
    return getattr(opened, "tile", [])
