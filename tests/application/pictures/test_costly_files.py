"""Pictures whose reading costs out of proportion (images behind spec api.md 7.1)."""

import io
import struct
import time

import pytest
from PIL import Image

from benchmarks.broken_pictures import crowded_jpeg, scan_bomb, tiled_tiff
from hexfusion.application.pictures.costly_files import (
    MAX_METADATA,
    MAX_PIECES,
    MAX_SCANS,
    MAX_TILE,
    why_costly,
)
from hexfusion.application.pictures.picture_files import decoded_picture, open_picture
from hexfusion.domain.errors import InvalidRequest


def encoded(format, **how):
    file = io.BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(file, format, **how)
    return file.getvalue()


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_what_encoders_write_is_cheap(how):
    data = encoded("JPEG", exif=b"Exif\0\0" + bytes(9000), icc_profile=bytes(200_000), **how)
    assert why_costly(data) is None


def test_a_scan_more_than_a_jpeg_may_have():
    assert why_costly(scan_bomb(64, MAX_SCANS)) is None
    assert f"{MAX_SCANS} scans" in why_costly(scan_bomb(64, MAX_SCANS + 1))


def test_scans_of_what_follows_the_picture_or_lies_within_metadata_do_not_count():
    """Cameras put whole pictures there."""
    jpeg, scans = encoded("JPEG"), b"\xff\xda\0\2" * 2 * MAX_SCANS
    comment = b"\xff\xfe" + struct.pack(">H", len(scans) + 2) + scans
    assert why_costly(jpeg[:2] + comment + jpeg[2:] + scans) is None


@pytest.mark.parametrize(
    ("segments", "size", "costly"),
    [
        (MAX_PIECES - 1, 1, False),  # JFIF's own is one more
        (MAX_PIECES, 1, True),
        (MAX_METADATA // 60_000, 60_000 - 8, False),
        (MAX_METADATA // 60_000 + 1, 60_000, True),
    ],
)
def test_pieces_of_metadata(segments, size, costly):
    assert bool(why_costly(crowded_jpeg(segments, size))) is costly


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8" * 99, b"x"]
)
def test_what_is_no_jpeg_is_left_to_others(data):
    assert why_costly(data) is None


@pytest.mark.parametrize("data", [scan_bomb(4096, 3000), crowded_jpeg(300_000, 6)])
def test_it_is_refused_at_once(data):
    started = time.process_time()
    with pytest.raises(InvalidRequest) as caught:
        decoded_picture(data, "mask")
    assert caught.value.field == "mask"
    assert time.process_time() - started < 1


def test_a_tile_larger_than_any_picture():
    """Of two hundred bytes; a gigabyte would be set aside for it."""
    side = int(MAX_TILE**0.5)
    open_picture(tiled_tiff(side))
    with pytest.raises(InvalidRequest, match="tile"):
        open_picture(tiled_tiff(side + 16))
