"""Pictures that are small to send and large, endless or dangerous to open, for `hostile_http`.

All are made here, by hand where no library would write them.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"


def bombs() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    for side in (20_000, 60_000, 2**31 - 1):
        yield f"PNG that says {side} x {side}", png(side, side)
    yield "PNG 1 x 2^31-1", png(1, 2**31 - 1)
    yield "PNG 0 x 0", png(0, 0)
    yield "PNG 30,000 x 30,000, one bit, all there", png(30_000, 30_000, whole=True)
    yield "PNG with 64 MiB of zTXt", png(1, 1, chunk(b"zTXt", b"parameters\0\0" + zeros(2**26)))
    yield (
        "PNG with 64 MiB of iTXt",
        png(1, 1, chunk(b"iTXt", b"parameters\0\1\0\0\0" + zeros(2**26))),
    )
    yield "PNG with 64 MiB of colour profile", png(1, 1, chunk(b"iCCP", b"x\0\0" + zeros(2**26)))
    yield "PNG with 10,000 texts", png(1, 1, chunk(b"tEXt", b"parameters\0x") * 10_000)
    yield "PNG whose chunk says 2 GiB", _PNG + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(64)
    yield "PNG cut in half", png(64, 64, whole=True)[:60]
    yield "PNG with a broken checksum", png(64, 64, whole=True)[:-30] + bytes(30)
    yield (
        "APNG that says 2^31-1 frames",
        png(8, 8, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), whole=True),
    )
    yield (
        "GIF of 65,535 x 65,535",
        b"GIF89a"
        + struct.pack("<HH", 65535, 65535)
        + bytes(3)
        + (b"\x2c" + bytes(4) + struct.pack("<HH", 65535, 65535) + b"\0\2\2\x4c\1\0;"),
    )
    yield "GIF of 5,000 frames", gif(5_000)
    yield "JPEG of 65,500 x 65,500", jpeg(65_500, 65_500)
    yield "TIFF of 100,000 x 100,000", tiff(100_000, 100_000)
    yield "TIFF whose directory leads to itself", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    yield (
        "BMP of 2^31-1 x 2^31-1",
        b"BM"
        + bytes(8)
        + struct.pack("<I", 54)
        + struct.pack("<IiiHHIIiiII", 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "WebP of 16,384 x 16,384", webp(16_384, 16_384)
    yield "ICO of a PNG of 60,000 x 60,000", ico(png(60_000, 60_000))
    yield (
        "EPS with a program",
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
            b"(%pipe%touch /tmp/hexfusion-escaped) (w) file\nshowpage\n"
        ),
    )
    yield (
        "SVG with an entity bomb",
        (
            b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
            b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>'
        ),
    )
    yield (
        "XBM with a huge size",
        b"#define im_width 99999\n#define im_height 99999\nstatic char x[] = {",
    )
    yield "PPM of 60,000 x 60,000", b"P6 60000 60000 255\n"
    yield (
        "PSD of 30,000 x 30,000",
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(64),
    )
    yield "gzip of 256 MiB", gzip.compress(bytes(2**28), 1)
    yield "zip local header", b"PK\3\4" + bytes(64)
    yield "MP4", b"\0\0\0\x18ftypmp42" + bytes(64)
    yield "pickle", b"\x80\x04cos\nsystem\n(S'touch /tmp/hexfusion-escaped'\ntR."
    yield "nothing", b""
    yield "1 MiB of noise", bytes(range(256)) * 4096


def png(width: int, height: int, extra: bytes = b"", *, whole: bool = False) -> bytes:
    """One bit a pixel. Unless `whole`, of the pixels there is next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zeros(height * (1 + (width + 7) // 8)) if whole else zlib.compress(bytes(64))
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return _PNG + body


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """So many zeros, deflated."""
    packer, piece, packed = zlib.compressobj(9), bytes(2**20), []
    for _ in range(count // len(piece)):
        packed.append(packer.compress(piece))
    packed.append(packer.compress(bytes(count % len(piece))))
    return b"".join(packed) + packer.flush()


def gif(frames: int) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0\x2c" + bytes(4) + b"\x01\0\x01\0\0\2\2\x44\1\0"
    return b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


def jpeg(width: int, height: int) -> bytes:
    """A real one whose frame header lies about the size."""
    data = bytearray(saved("JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width: int, height: int) -> bytes:
    entries = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1),
               (278, height), (279, 2**31))  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0\x08\0\0\0" + directory + bytes(4)


def webp(width: int, height: int) -> bytes:
    """A lossless header of that size, and no picture."""
    bits = (width - 1) | (height - 1) << 14
    data = b"VP8L" + struct.pack("<I", 20) + b"\x2f" + struct.pack("<I", bits) + bytes(15)
    return b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data


def ico(picture: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 1, len(picture), 22) + picture


def saved(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format)
    return buffer.getvalue()
