"""Pictures that are broken, exploding, or none at all, for `hostile_pictures`.

Cut short, damaged, contradicting themselves, costing far more than they weigh, other kinds of
files, and texts that stand for no bytes. What may be answered or refused says so; what may only be
refused, too.
"""

import random
import struct
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator

from PIL import Image

from benchmarks.bombs import bombs, chunk, zeros
from benchmarks.odd_pictures import Odd, encoded, of_bytes, png_of, quarters, textured

#: Shares of a file that are there.
SHARES = (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.99)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def sound() -> dict[str, bytes]:
    """A sound file of each kind."""
    picture = textured("RGB", (64, 48))
    frames = [quarters((64, 48)), textured("RGB", (64, 48))]
    return {
        "PNG": encoded(picture, "PNG"),
        "PNG, interlaced": png_of(2, 8, (64, 48), interlaced=True),
        "JPEG": encoded(picture, "JPEG", quality=90),
        "JPEG, progressive": encoded(picture, "JPEG", quality=90, progressive=True),
        "WebP": encoded(picture, "WEBP"),
        "WebP, lossless": encoded(picture, "WEBP", lossless=True),
        "WebP, moving": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "GIF": encoded(picture, "GIF"),
        "TIFF": encoded(picture, "TIFF"),
        "TIFF, deflated": encoded(picture, "TIFF", compression="tiff_adobe_deflate"),
        "BMP": encoded(picture, "BMP"),
        "AVIF": encoded(picture, "AVIF", speed=10),
        "ICO": encoded(picture, "ICO"),
        "PPM": encoded(picture, "PPM"),
    }


def _cut() -> Iterator[Odd]:
    for format, data in sound().items():
        for share in SHARES:
            name = f"{format}, {share:.0%} of it"
            part = data[: int(len(data) * share)]
            yield of_bytes("cut short", name, part, answered=None if share > 0.1 else False)


def _damaged() -> Iterator[Odd]:
    """Single bytes and whole stretches that are not what they were."""
    kind = "damaged"
    draw = random.Random(5)
    for format, data in sound().items():
        wrong = bytes([data[0] ^ 0xFF]) + data[1:]
        yield of_bytes(kind, f"{format}, first byte", wrong, answered=False)
        yield of_bytes(kind, f"{format}, twice", data + data, answered=None)
        for count in (1, 8, 64):
            changed = bytearray(data)
            for _ in range(count):
                changed[draw.randrange(16, len(changed))] = draw.randrange(256)
            yield of_bytes(kind, f"{format}, {count} bytes", bytes(changed), answered=None)
        hole = len(data) // 3
        emptied = data[:hole] + bytes(hole) + data[2 * hole :]
        yield of_bytes(kind, f"{format}, a third is zeros", emptied, answered=None)
        middle = len(data) // 2
        lacking = data[: middle - 5] + data[middle + 5 :]
        yield of_bytes(kind, f"{format}, ten bytes are missing", lacking, answered=None)


def _png_chunks() -> Iterator[Odd]:
    kind = "PNG chunks"
    pixels = zlib.compress(b"".join(b"\0" + bytes(range(24)) for _ in range(8)))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    first, body, end = chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")

    def header(width: int, height: int, *rest: int) -> bytes:
        return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *rest))

    palette = chunk(b"PLTE", bytes(range(9)))
    filters = zlib.compress(b"".join(b"\x09" + bytes(24) for _ in range(8)))
    files = {
        "no header": body + end,
        "no pixels": first + end,
        "no end": first + body,
        "the end first": end + first + body,
        "pixels before the header": body + first + end,
        "two headers": first + first + body + end,
        "two headers of two sizes": first + header(16, 16, 8, 2, 0, 0, 0) + body + end,
        "a header that is too short": chunk(b"IHDR", head[:9]) + body + end,
        "a header that is too long": chunk(b"IHDR", head + bytes(9)) + body + end,
        "3 bits": header(8, 8, 3, 2, 0, 0, 0) + body + end,
        "255 bits": header(8, 8, 255, 2, 0, 0, 0) + body + end,
        "colour type 1": header(8, 8, 8, 1, 0, 0, 0) + body + end,
        "colour type 7": header(8, 8, 8, 7, 0, 0, 0) + body + end,
        "another compression": header(8, 8, 8, 2, 1, 0, 0) + body + end,
        "another filter method": header(8, 8, 8, 2, 0, 1, 0) + body + end,
        "interlacing 9": header(8, 8, 8, 2, 0, 0, 9) + body + end,
        "filter 9": first + chunk(b"IDAT", filters) + end,
        "a palette picture without one": header(8, 8, 8, 3, 0, 0, 0) + body + end,
        "a palette behind the pixels": header(8, 8, 8, 3, 0, 0, 0) + body + palette + end,
        "an empty palette": header(8, 8, 8, 3, 0, 0, 0) + chunk(b"PLTE", b"") + body + end,
        "a palette of 1,000": header(8, 8, 8, 3, 0, 0, 0)
        + chunk(b"PLTE", bytes(3000)) + body + end,
        "a palette of 3 and a third": header(8, 8, 8, 3, 0, 0, 0)
        + chunk(b"PLTE", bytes(10)) + body + end,
        "pixels that do not inflate": first + chunk(b"IDAT", bytes(range(64))) + end,
        "too few pixels": first + chunk(b"IDAT", zlib.compress(bytes(25))) + end,
        "too many pixels": first + chunk(b"IDAT", zlib.compress(bytes(9999))) + end,
        "a thousand times too many": first + chunk(b"IDAT", zeros(2**24)) + end,
        "pixels byte by byte": first
        + b"".join(chunk(b"IDAT", bytes([each])) for each in pixels) + end,
        "1,000 empty stretches of pixels": first + chunk(b"IDAT", b"") * 1000 + body + end,
        "a text between the pixels": first + chunk(b"IDAT", pixels[:9])
        + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", pixels[9:]) + end,
        "a length of -1": first + b"\xff\xff\xff\xffIDAT" + pixels + end,
        "a length of 0": first + b"\0\0\0\0IDAT" + pixels + end,
        "a wrong sum of the header": first[:-4] + bytes(4) + body + end,
        "a wrong sum of the pixels": first + body[:-4] + bytes(4) + end,
        "a wrong sum of the end": first + body + end[:-4] + bytes(4),
        "a chunk without letters": first + chunk(b"\0\1\2\3", b"") + body + end,
        "a critical chunk nobody knows": first + chunk(b"ABCD", b"x") + body + end,
        "frames that are none": first + chunk(b"acTL", bytes(8)) + body + end,
        "a frame before its control": first + chunk(b"fdAT", bytes(40)) + body + end,
        "a frame beyond the picture": first + chunk(b"acTL", struct.pack(">II", 2, 0))
        + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 9999, 9999, 9999, 9999, 1, 1, 0, 0))
        + body + end,
    }  # fmt: skip
    for name, data in files.items():
        yield of_bytes(kind, f"PNG, {name}", _SIGNATURE + data, answered=None)


def _empty_sizes() -> Iterator[Odd]:
    """Pictures that say they have no pixels."""
    kind = "zero sizes"

    def jpeg(width: int, height: int) -> bytes:
        data = bytearray(encoded(quarters(), "JPEG"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
        return bytes(data)

    def png(width: int, height: int) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        rest = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        return _SIGNATURE + chunk(b"IHDR", head) + rest

    def gif(width: int, height: int) -> bytes:
        size = struct.pack("<HH", width, height)
        return b"GIF89a" + size + bytes(3) + b"\x2c" + bytes(4) + size + b"\0\2\2\x4c\1\0;"

    def bmp(width: int, height: int) -> bytes:
        data = bytearray(encoded(quarters(), "BMP"))
        data[18:26] = struct.pack("<ii", width, height)
        return bytes(data)

    def tiff(width: int, height: int) -> bytes:
        data = encoded(quarters(), "TIFF")
        for tag, old, new in ((256, 32, width), (257, 16, height)):
            entry = struct.pack("<HHI", tag, 4, 1)
            data = data.replace(entry + struct.pack("<I", old), entry + struct.pack("<I", new))
            entry = struct.pack("<HHI", tag, 3, 1)
            data = data.replace(
                entry + struct.pack("<HH", old, 0), entry + struct.pack("<HH", new, 0)
            )
        return data

    makers = {"JPEG": jpeg, "PNG": png, "GIF": gif, "BMP": bmp, "TIFF": tiff}
    for format, make in makers.items():
        for width, height in ((0, 0), (0, 16), (32, 0)):
            # A GIF's frame may be larger than its screen, and a JPEG's height may come later.
            yield of_bytes(kind, f"{format} {width}x{height}", make(width, height), answered=False)
    yield of_bytes(kind, "BMP -32x16", bmp(-32, 16), answered=None)


def scan_bomb(side: int, scans: int) -> bytes:
    """A progressive JPEG, grey, each of whose scans says of every block that nothing changes."""

    def segment(marker: int, body: bytes) -> bytes:
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body

    runs = -(-((side // 8) ** 2) // 32767)
    bits = ("0" + "1" * 14) * runs  # each says so for 32,767 blocks
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    codes = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + coded
    steps = segment(0xDB, b"\0" + b"\1" * 64)
    return b"\xff\xd8" + steps + frame + codes + scan * scans + b"\xff\xd9"


def tiled_tiff(side: int) -> bytes:
    """A TIFF of 8x8 in one tile of `side` x `side`, compressed."""
    entries = ((256, 8), (257, 8), (258, 8), (259, 5), (262, 1), (277, 1), (322, side), (323, side),
               (324, 0), (325, 64))  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0\x08\0\0\0" + directory + bytes(104)


def crowded_jpeg(segments: int, size: int) -> bytes:
    """A JPEG with so many pieces of EXIF, of so many bytes each."""
    jpeg = encoded(quarters(), "JPEG")
    piece = b"\xff\xe1" + struct.pack(">H", size + 8) + b"Exif\0\0" + bytes(size)
    return jpeg[:2] + piece * segments + jpeg[2:]


def tagged_tiff(tags: int, size: int) -> bytes:
    """A TIFF so many of whose tags all mean the same `size` bytes."""
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
               (273, 4, 1, 0), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]  # fmt: skip
    shared = 8 + 2 + 12 * (len(entries) + tags) + 4
    entries += [(40_000 + each, 1, size, shared) for each in range(tags)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *each) for each in entries)
    return b"II*\0\x08\0\0\0" + directory + bytes(4 + size)


def _exploding() -> Iterator[Odd]:
    kind = "exploding"
    for name, data in bombs():
        yield of_bytes(kind, name, data, answered=None)
    yield of_bytes(kind, "JPEG of 8192x8192 in 2,000 scans", scan_bomb(8192, 2000), answered=False)
    yield of_bytes(kind, "JPEG of 256x256 in 90 scans", scan_bomb(256, 90), answered=None)
    yield of_bytes(kind, "JPEG of 256x256 in 9,000 scans", scan_bomb(256, 9000), answered=False)
    yield of_bytes(kind, "TIFF of one tile, 40,000x40,000", tiled_tiff(40_000), answered=False)
    yield of_bytes(kind, "TIFF of one tile, 65,520x65,520", tiled_tiff(65_520), answered=False)
    yield of_bytes(
        kind, "JPEG with 200,000 pieces of EXIF", crowded_jpeg(200_000, 6), answered=False
    )
    yield of_bytes(kind, "JPEG with 30 MB of EXIF", crowded_jpeg(600, 50_000), answered=False)
    yield of_bytes(
        kind, "TIFF of 20,000 tags in one place", tagged_tiff(20_000, 1_000_000), answered=None
    )
    told = encoded(quarters(), "PNG", exif=b"Exif\0\0" + tagged_tiff(20_000, 1_000_000))
    yield of_bytes(kind, "PNG with EXIF of 20,000 tags in one place", told, answered=None)
    for mode in ("1", "L"):
        side = 8192
        data = encoded(Image.new(mode, (side, side)), "PNG")
        size = (side, side)
        yield of_bytes(
            kind, f"PNG of {side}x{side}, as large as it may be: {mode}", data, size=size
        )
    over = encoded(Image.new("1", (8193, 8192)), "PNG")
    yield of_bytes(kind, "PNG of 8193x8192, one column too wide", over, answered=False)
    comment = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 20_000 + b"\0"
    gif = encoded(quarters(), "GIF")
    at = gif.index(b"\x2c", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    yield of_bytes(kind, "GIF with a comment of 5 MB", gif[:at] + comment + gif[at:], answered=None)
    comments = b"\x21\xfe\1x\0" * 300_000
    yield of_bytes(kind, "GIF with 300,000 comments", gif[:at] + comments + gif[at:], answered=None)
    crumbs = chunk(b"zzZz", b"") * 200_000
    plain = encoded(quarters(), "PNG")
    yield of_bytes(kind, "PNG of 200,000 chunks", plain[:33] + crumbs + plain[33:], answered=None)


def _no_pictures() -> Iterator[Odd]:
    kind = "no pictures"
    png = encoded(quarters(), "PNG")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'
    files: dict[str, bytes] = {
        "SVG": svg,
        "SVG with a script": svg.replace(b"<image", b"<script>alert(1)</script><image"),
        "SVG, gzipped": zlib.compress(svg),
        "HTML": b"<!DOCTYPE html><html><img src=x onerror=alert(1)></html>",
        "PHP": b"<?php system($_GET['c']); ?>",
        "JSON": b'{"images": []}',
        "text": b"a red circle on a blue background",
        "blanks": b" " * 64,
        "NULs": bytes(64),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>",
        "PostScript": b"%!PS\n(/etc/passwd) (r) file 99 string readstring pop show",
        "CUR": b"\0\0\2\0\1\0" + bytes(40),
        "PFM": b"PF 2 2 -1.0\n" + bytes(48),
        "PCX": encoded(quarters(), "PCX"),
        "SGI": encoded(quarters(), "SGI"),
        "DDS": encoded(quarters(), "DDS"),
        "ICNS": b"icns\0\0\0\x10ic07\0\0\0\x08",
        "JPEG 2000": encoded(quarters(), "JPEG2000"),
        "QOI": encoded(quarters(), "QOI"),
        "FITS": b"SIMPLE  =                    T" + bytes(2850),
        "WMF": b"\xd7\xcd\xc6\x9a" + bytes(64),
        "XPM": b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c red", "a"};',
        "ELF": b"\x7fELF\2\1\1" + bytes(57),
        "safetensors": struct.pack("<Q", 2) + b"{}",
        "RIFF that is sound": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(20),
        "HEIC by name": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
        "AVIF by name": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(64),
        "BigTIFF without anything": b"II+\0\x08\0\0\0\x10" + bytes(23),
        "a picture behind blanks": b"\r\n  " + png,
        "a picture behind a byte order mark": b"\xef\xbb\xbf" + png,
        "a picture in base64 once more": b64encode(png),
    }
    for name, data in files.items():
        yield of_bytes(kind, name, data, answered=False)


def _two_files() -> Iterator[Odd]:
    """Whoever reads them from the front finds a picture."""
    png, jpeg = encoded(quarters(), "PNG"), encoded(quarters(), "JPEG")
    gif = encoded(quarters(), "GIF")
    both = {
        "PNG and HTML": png + b"<script>alert(1)</script>",
        "PNG and zip": png + b"PK\3\4" + bytes(40) + b"PK\5\6" + bytes(18),
        "JPEG and PHP": jpeg + b"<?php system('id'); ?>",
        "JPEG and JPEG": jpeg + encoded(textured("RGB"), "JPEG"),
        "JPEG and 1 MB more": jpeg + bytes(range(256)) * 4000,
        "GIF and a script": gif + b"/*" + b"=1;alert(1)" + b"*/",
        "PNG and a PNG": png + encoded(textured("RGB"), "PNG"),
    }
    for name, data in both.items():
        yield of_bytes("two files in one", name, data, size=(32, 16))


def _texts() -> Iterator[Odd]:
    """How a picture is written down: base64, data URIs, and what is neither. Spec api.md 7.1."""
    kind = "texts"
    png = encoded(quarters(), "PNG")
    text = b64encode(png).decode("ascii")
    lines = "\n".join(text[each : each + 76] for each in range(0, len(text), 76))
    good = {
        "base64 in lines": lines,
        "base64 in lines of Windows": lines.replace("\n", "\r\n"),
        "base64 with blanks around": f"  \n{text}\t ",
        "a data URI": f"data:image/png;base64,{text}",
        "a data URI of the wrong kind": f"data:image/jpeg;base64,{text}",
        "a data URI of no kind": f"data:image/;base64,{text}",
        "a data URI of SVG": f"data:image/svg+xml;base64,{text}",
        "a data URI in lines": f"data:image/png;base64,{lines}",
        "a data URI with blanks around": f"\n data:image/png;base64,{text} ",
    }
    for name, each in good.items():
        yield Odd(kind, name, each, True, (32, 16), None)
    bad = {
        "a blank": " ",
        "one letter": "A",
        "padding alone": "====",
        "NUL": "\0",
        "letters that are not ASCII": "é" * 100,
        "null": "null",
        "a data URI without anything": "data:image/png",
        "a data URI without its text": "data:image/png;",
        "a data URI with an empty text": "data:image/png;base64,",
        "a data URI percent-encoded": "data:image/png,%89PNG%0D%0A",
        "a data URI of HTML": "data:text/html,<script>alert(1)</script>",
        "many data URIs": "data:image/png;base64," * 500,
        "a path": "/etc/passwd",
        "a path up": "../../../../etc/passwd",
        "a file's address": "file:///etc/passwd",
        "an FTP address": "ftp://127.0.0.1/x.png",
        "a script's address": "javascript:alert(1)",
        "a blob's address": "blob:http://127.0.0.1/0",
        "a megabyte of A": "A" * 1_000_000,
        "brackets": "[" * 100_000,
    }
    for name, each in bad.items():
        yield Odd(kind, name, each, False)
    loose = {
        "base64 without its padding": text.rstrip("=") or text,
        "base64 cut short by a letter": text[:-1],
        "base64 for URLs": urlsafe_b64encode(png).decode("ascii"),
        "base64 with stars in it": text[:40] + "***" + text[40:],
        "base64 in capitals": text.upper(),
        "a data URI with parameters": f"data:image/png;charset=utf-8;base64,{text}",
        "a data URI in capitals": f"DATA:IMAGE/PNG;BASE64,{text}",
        "a data URI of bytes": f"data:application/octet-stream;base64,{text}",
    }
    for name, each in loose.items():
        yield Odd(kind, name, each, None)


#: By their kinds.
BROKEN = {
    "cut short": _cut,
    "damaged": _damaged,
    "PNG chunks": _png_chunks,
    "zero sizes": _empty_sizes,
    "exploding": _exploding,
    "no pictures": _no_pictures,
    "two files in one": _two_files,
    "texts": _texts,
}
