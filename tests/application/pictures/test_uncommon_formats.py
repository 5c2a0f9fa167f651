"""Icons, Netpbm and Targa files are read as the reference's library reads them (spec api.md 7.1).

Expected pixels are worked out by hand from the formats' definitions.
"""

import io
import struct
import time

import PIL.Image
import pytest

from hexfusion.application.pictures.costly_uncommon_files import MAX_COMMENTS, MAX_ICON, MAX_ICONS
from hexfusion.application.pictures.picture_files import decoded_picture
from hexfusion.domain.errors import InvalidRequest

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PIXELS = [RED, GREEN, BLUE, WHITE]  # 2x2, by rows from the top


def tga(kind: int, data: bytes, *, depth=24, flags=0x20, palette=b"", size=(2, 2), id=b"") -> bytes:
    """Truevision's header: id, colour map, kind, colour map's start, length, depth; place; size."""
    length = len(palette) // 3
    head = struct.pack("<BBBHHB", len(id), bool(palette), kind, 0, length, 24 if palette else 0)
    return head + struct.pack("<HHHHBB", 0, 0, *size, depth, flags) + id + palette + data


def bgr(*pixels) -> bytes:
    return b"".join(bytes(reversed(pixel)) for pixel in pixels)


def bitmap(width: int, height: int, rows: bytes) -> bytes:
    """A bitmap as icons have it: 24 bits, bottom row first, twice as high, its mask behind."""
    head = struct.pack("<LllHHLLllLL", 40, width, 2 * height, 1, 24, 0, 0, 0, 0, 0, 0)
    return head + rows + bytes(4 * height)


def icon(*pictures: bytes, sizes=None) -> bytes:
    at = 6 + 16 * len(pictures)
    entries, data = b"", b""
    for number, each in enumerate(pictures):
        width, height = sizes[number] if sizes else (2, 2)
        entries += struct.pack("<BBBBHHLL", width, height, 0, 0, 1, 24, len(each), at + len(data))
        data += each
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + data


def png(size=(2, 2), colour=RED) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


FOUR = bitmap(2, 2, bgr(BLUE, WHITE) + b"\0\0" + bgr(RED, GREEN) + b"\0\0")

FILES = {
    "P6": (b"P6\n2 2\n255\n" + b"".join(map(bytes, PIXELS)), "RGB", PIXELS),
    "P6, comments in its header": (
        b"P6 # one\n2 # two\n2 255\n" + b"".join(map(bytes, PIXELS)),
        "RGB",
        PIXELS,
    ),
    "P6, maximum 1": (b"P6 2 2 1\n" + bytes([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]), "RGB", PIXELS),
    "P6, maximum 65535": (
        b"P6 2 2 65535\n"
        + b"".join(struct.pack(">HHH", *(257 * value for value in pixel)) for pixel in PIXELS),
        "RGB",
        PIXELS,
    ),
    "P3": (b"P3 2 2 255 255 0 0 0 255 0\n0 0 255 # c\n255 255 255\n", "RGB", PIXELS),
    "P5": (b"P5 2 2 255\n\0\x40\x80\xff", "L", [0, 64, 128, 255]),
    "P5, maximum 65535": (b"P5 2 1 65535\n\x12\x34\xff\xff", "I", [0x1234, 65535]),
    "P2": (b"P2 2 2 15 0 5 10 15\n", "L", [0, 85, 170, 255]),
    "P4": (b"P4 2 2\n\x40\x80", "1", [255, 0, 0, 255]),
    "P1": (b"P1 2 2 0 1 1 0\n", "1", [255, 0, 0, 255]),
    "Pf": (b"Pf 2 1 -1.0\n" + struct.pack("<ff", 0.25, 0.5), "F", [0.25, 0.5]),
    "TGA, 24 bits": (tga(2, bgr(*PIXELS)), "RGB", PIXELS),
    "TGA, bottom up": (tga(2, bgr(BLUE, WHITE, RED, GREEN), flags=0), "RGB", PIXELS),
    "TGA, right to left": (tga(2, bgr(GREEN, RED, WHITE, BLUE), flags=0x30), "RGB", PIXELS),
    "TGA, with an id": (tga(2, bgr(*PIXELS), id=b"made by hand"), "RGB", PIXELS),
    "TGA, 32 bits": (
        tga(2, b"".join(bgr(pixel) + b"\x80" for pixel in PIXELS), depth=32, flags=0x28),
        "RGBA",
        [(*pixel, 128) for pixel in PIXELS],
    ),
    "TGA, runs": (tga(10, 2 * (b"\x81" + bgr(RED))), "RGB", [RED] * 4),
    "TGA, runs and literals": (
        tga(10, b"\x81" + bgr(RED) + b"\x01" + bgr(BLUE, WHITE)),
        "RGB",
        [RED, RED, BLUE, WHITE],
    ),
    "TGA, grey": (tga(3, b"\0\x40\x80\xff", depth=8), "L", [0, 64, 128, 255]),
    "TGA, palette": (
        tga(1, b"\0\1\2\3", depth=8, palette=bgr(*PIXELS)),
        "P",
        PIXELS,
    ),
    "icon, bitmap": (icon(FOUR), "RGBA", [(*pixel, 255) for pixel in PIXELS]),
    "icon, PNG": (icon(png()), "RGB", [RED] * 4),
    "icon, the larger of two": (
        icon(png(), png((4, 4), BLUE), sizes=[(2, 2), (4, 4)]),
        "RGB",
        [BLUE] * 16,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_uncommon_formats(name):
    data, mode, pixels = FILES[name]
    image = decoded_picture(data, "image")
    assert image.mode == mode
    shown = image.convert("RGB") if mode == "P" else image
    assert list(shown.get_flattened_data()) == pixels


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_an_icon_whose_directory_cannot_tell_its_size():
    data = icon(png((512, 300)), sizes=[(0, 0)])  # 0 stands for 256
    assert decoded_picture(data, "image").size == (512, 300)


def claiming(width: int, height: int) -> bytes:
    return png()[:16] + struct.pack(">LL", width, height) + png()[24:]


COSTLY = {
    "an icon of 67 million pixels": icon(png((8192, 513), WHITE), sizes=[(0, 0)]),
    "an icon that claims billions": icon(claiming(60_000, 60_000)),
    "an icon of a bitmap that claims billions": icon(bitmap(60_000, 60_000, b"")),
    "an icon of many": icon(*[b""] * (MAX_ICONS + 1)),
    "a header of comments": b"P6\n" + b"#\n" * 5000 + b"2 2 255\n" + bytes(12),
    "a header of one comment": b"P6\n#" + b"a" * 50_000_000,
    "a header of spaces": b"P6" + b" " * 50_000_000 + b"2 2 255\n" + bytes(12),
    "a text of comments": b"P3 1024 1024 255\n" + b"#\n" * 5_000_000,
    "a bitmap of comments": b"P1 1024 1024\n" + b"#\n" * (MAX_COMMENTS + 1),
    "a text of many numbers": b"P3 2000 2000 255\n" + b"1 " * 12_000_000,
    "a text of many digits": b"P1 8192 8192\n" + b"1" * 50_000_000,
    "an odd maximum": b"P6 2000 2000 254\n" + bytes(12_000_000),
    "an odd maximum, cut short": b"P6 8000 8000 254\n",
    "a Targa that claims billions": tga(2, b"", size=(65535, 65535)),
    "a PPM that claims billions": b"P6 100000 100000 255\n",
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_files_are_refused(name):
    """Before anything is decoded: the work, were it done, takes from seconds to minutes."""
    began = time.process_time()
    with pytest.raises(InvalidRequest, match="may have"):
        decoded_picture(COSTLY[name], "image")
    assert time.process_time() - began < 5


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_the_largest_icon_is_read():
    assert decoded_picture(icon(png((2048, MAX_ICON // 2048)), sizes=[(0, 0)]), "image")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello world",
        b"P6 2 2 255\nabc",
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(12),
        b"P3 2 2 255 1 2 x",
        b"P2 -2 2 255 0 0",
        b"\0\0\1\0",
        icon(b"nothing"),
        tga(2, bgr(RED)),
        tga(2, b"", size=(0, 2)),
        tga(7, bytes(12)),
        tga(10, b"\x83"),
        bytes(18),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1" + bytes(30),
    ],
)
def test_what_is_none_of_them_is_refused(data):
    with pytest.raises(InvalidRequest) as refused:
        decoded_picture(data, "mask")
    assert refused.value.field == "mask"
