"""Detects small picture files that are disproportionately expensive to decode.

Source: JPEG (ITU T.81, annex B), TIFF 6.0 section 15. Pictures with too many pixels are refused
elsewhere (`picture_files.MAX_PIXELS`).
"""

import re
import struct
from collections.abc import Iterator

from PIL.Image import Image

from hexfusion.application.pictures.costly_uncommon_files import (
    why_costly_icon,
    why_costly_netpbm,
    why_costly_samples,
)

#: Most scans of a JPEG. A scan of a few bytes makes a decoder visit every block; encoders write
#: about ten.
MAX_SCANS = 100
#: Most metadata segments of a JPEG, and their total bytes: decoders concatenate them one by one.
MAX_PIECES, MAX_METADATA = 2000, 16 * 2**20
#: Most pixels of a TIFF tile: a tile is decoded whole, even if little of it is in the picture.
MAX_TILE = 4096 * 4096

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
#: The next marker behind coded pixels: no stuffed byte, restart or fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def why_costly(data: bytes) -> str | None:
    """Why a file is too expensive, judged before it is opened; None if it is not.

    Looks at JPEG, icons and Netpbm files.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return why_costly_icon(data) or why_costly_netpbm(data)
    scans, pieces, metadata = 0, 0, 0
    for marker, length in _segments(data):
        if marker == _SCAN:
            scans += 1
        elif marker >= 0xE0:  # applications' own, and comments
            pieces += 1
            metadata += length
        if scans > MAX_SCANS:
            return f"a JPEG may have {MAX_SCANS} scans"
        if pieces > MAX_PIECES or metadata > MAX_METADATA:
            return f"a JPEG may have {MAX_PIECES} pieces and {MAX_METADATA} bytes of metadata"
    return None


def why_costly_to_decode(opened: Image) -> str | None:
    """Why an opened picture, not decoded yet, is too expensive to decode; None if it is not."""
    if opened.format != "TIFF":
        return why_costly_samples(opened)
    width, height = (_number(opened, tag) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    return f"a TIFF's tile may have {MAX_TILE} pixels" if width * height > MAX_TILE else None


def _number(opened: Image, tag: int) -> int:
    value = getattr(opened, "tag_v2", {}).get(tag, 0)
    return value if isinstance(value, int) else 0


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and length of each segment, as far as the file is a JPEG."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = data[found.start() + 1], found.end()
        if marker == _END:
            return
        if marker == _START or at + 2 > len(data):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        yield marker, length
        at += max(length, 2)
