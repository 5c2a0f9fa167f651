"""Pictures that are whole, and unlike what most clients send, for `hostile_pictures`.

Odd sizes, modes, depths, transparency, frames, orientations and metadata: each has to be answered,
and what comes back is known. Those that are broken: `broken_pictures`.
"""

import io
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from benchmarks.bombs import chunk

#: Left upper, right upper, left lower and right lower quarter of a picture with four colours.
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
#: Of each of the eight EXIF orientations: which quarter of the stored picture is seen left above.
SEEN_FIRST = (0, 1, 3, 2, 0, 2, 3, 1)
ORIENTATION = ExifTags.Base.Orientation

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Odd:
    """A text for a field that holds a picture, and what is known of it.

    `answered`: it has to be (True), must not be (False), or may be. `size` is that of the upright
    picture, pixels. `corner` is the colour seen left above; it is known only where that is sure.
    """

    kind: str
    name: str
    text: str
    answered: bool | None = True
    size: tuple[int, int] | None = None
    corner: Colour | None = None


def of_bytes(kind: str, name: str, data: bytes, **known: Any) -> Odd:
    return Odd(kind, name, b64encode(data).decode("ascii"), **known)


def quarters(size: tuple[int, int] = (32, 16)) -> Image.Image:
    """A picture of four colours."""
    picture = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for number, colour in enumerate(QUARTERS):
        left, top = number % 2 * width, number // 2 * height
        picture.paste(colour, (left, top, left + width, top + height))
    return picture


def textured(mode: str, size: tuple[int, int] = (40, 24)) -> Image.Image:
    """A picture no compression makes small, in that mode."""
    width, height = size
    noise = bytes(
        (x * x * 7 + y * 31 + x * y) % 256 for y in range(height) for x in range(3 * width)
    )
    picture = Image.frombytes("RGB", size, noise)
    if mode == "I;16":
        return picture.convert("I").point(lambda level: level * 257).convert("I;16")
    if mode in ("I", "F"):
        return picture.convert("L").convert(mode)
    if mode in ("LA", "RGBA"):
        made = picture.convert(mode)
        made.putalpha(picture.convert("L").rotate(180))
        return made
    if mode == "P":
        return picture.quantize(64)
    made = picture.convert(mode)
    made.info.clear()  # LAB's profile says when it was made
    return made


def encoded(picture: Image.Image, format: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **how)
    return file.getvalue()


def _sizes() -> Iterator[Odd]:
    """From one pixel to very long ones; JPEG and WebP have their own bounds."""
    kind = "odd sizes"
    sides = ((1, 1), (1, 2), (2, 1), (3, 3), (7, 9), (1, 64), (64, 1), (65, 63))
    for width, height in sides:
        for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
            data = encoded(Image.new("RGB", (width, height), "teal"), format)
            yield of_bytes(kind, f"{format} {width}x{height}", data, size=(width, height))
    for format, side in (
        ("PNG", 20_000), ("JPEG", 20_000), ("GIF", 20_000), ("TIFF", 20_000), ("BMP", 20_000),
        ("WEBP", 16_383), ("JPEG", 65_500), ("GIF", 65_535), ("PNG", 200_000),
    ):  # fmt: skip
        for size in ((side, 1), (1, side)):
            data = encoded(Image.new("RGB", size, "teal"), format)
            yield of_bytes(kind, f"{format} {size[0]}x{size[1]}", data, size=size)


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
#: Adam7: first column and row, and steps, of each pass.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip


def png_of(
    colour: int, depth: int, size: tuple[int, int] = (24, 16), *, interlaced: bool = False,
    before: bytes = b"", palette: bool | None = None,
) -> bytes:  # fmt: skip
    """A PNG of any colour type and bit depth; `before` are chunks between header and pixels."""
    width, height = size
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = bytearray()
    for x, y, across, down in passes:
        columns, lines = -(-(width - x) // across), -(-(height - y) // down)
        length = (columns * depth * _CHANNELS[colour] + 7) // 8
        for line in range(lines if columns > 0 else 0):
            rows += b"\0" + bytes((37 * line + 11 * each) % 256 for each in range(length))
    colours = b""
    if colour == 3 if palette is None else palette:
        colours = chunk(b"PLTE", bytes(each % 256 for each in range(3 * 2**depth)))
    body = chunk(b"IHDR", head) + colours + before + chunk(b"IDAT", zlib.compress(bytes(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def _png_depths() -> Iterator[Odd]:
    for colour, depths in _DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                data = png_of(colour, depth, interlaced=interlaced)
                name = f"PNG {_COLOURS[colour]}, {depth} bit{', interlaced' if interlaced else ''}"
                yield of_bytes("PNG depths", name, data, size=(24, 16))


def _modes() -> Iterator[Odd]:
    kind = "colour modes"
    size = (40, 24)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"):
        yield of_bytes(kind, f"TIFF {mode}", encoded(textured(mode), "TIFF"), size=size)
    packings = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "zstd", "lzma")
    for packing in packings:
        picture = textured("1" if packing == "group4" else "RGB")
        data = encoded(picture, "TIFF", compression=packing)
        yield of_bytes(kind, f"TIFF, {packing}", data, size=size)
    yield of_bytes(
        kind,
        "TIFF I;16, deflate",
        encoded(textured("I;16"), "TIFF", compression="tiff_adobe_deflate"),
        size=size,
    )
    yield of_bytes(kind, "TIFF, big-endian 16 bit", big_endian_tiff(), size=(4, 4))
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            data = encoded(textured(mode), "JPEG", progressive=progressive)
            name = f"JPEG {mode}{', progressive' if progressive else ''}"
            yield of_bytes(kind, name, data, size=size)
    adobe = encoded(textured("CMYK"), "JPEG")
    yield of_bytes(kind, "JPEG CMYK that says YCCK", adobe_says(adobe, 2), size=size)
    yield of_bytes(kind, "JPEG RGB that says Adobe RGB", adobe_marked(0), size=size)
    for subsampling in (0, 1, 2):
        data = encoded(textured("RGB"), "JPEG", subsampling=subsampling, quality=30)
        yield of_bytes(kind, f"JPEG, subsampling {subsampling}", data, size=size)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield of_bytes(kind, f"BMP {mode}", encoded(textured(mode), "BMP"), size=size)
    for name, data in bitmaps():
        yield of_bytes(kind, name, data, size=(4, 4), answered=None if "jump" in name else True)
    for mode in ("L", "RGB", "RGBA"):
        for lossless in (False, True):
            data = encoded(textured(mode), "WEBP", lossless=lossless)
            name = f"WebP {mode}{', lossless' if lossless else ''}"
            yield of_bytes(kind, name, data, size=size)
    for mode in ("1", "L", "P"):
        yield of_bytes(kind, f"GIF {mode}", encoded(textured(mode), "GIF"), size=size)
    yield of_bytes(kind, "AVIF", encoded(textured("RGB"), "AVIF", speed=10), size=size)


def big_endian_tiff() -> bytes:
    """16-bit grey, Motorola order, not packed."""
    entries = ((256, 3, 4), (257, 3, 4), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
               (277, 3, 1), (278, 3, 4), (279, 4, 32))  # fmt: skip
    pixels = struct.pack(">16H", *range(0, 65536, 4096))
    directory = struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        told = struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
        directory += struct.pack(">HHI", tag, kind, 1) + told
    return b"MM\0*" + struct.pack(">I", 40) + pixels + directory + bytes(4)


def adobe_says(jpeg: bytes, transform: int) -> bytes:
    """The same JPEG whose Adobe marker names another transform of its colours."""
    at = jpeg.index(b"Adobe") + 11
    return jpeg[:at] + bytes([transform]) + jpeg[at + 1 :]


def adobe_marked(transform: int) -> bytes:
    """An RGB JPEG with an Adobe marker in place of JFIF's."""
    jpeg = encoded(textured("RGB"), "JPEG")
    told = b"Adobe\0\x64\0\0\0\0" + bytes([transform])
    return jpeg[:2] + b"\xff\xee" + struct.pack(">H", len(told) + 2) + told + jpeg[20:]


def bitmaps() -> Iterator[tuple[str, bytes]]:
    """BMP files of kinds nobody writes any more, 4x4."""
    palette = bytes(range(64))

    def bitmap(
        bits: int, packing: int, pixels: bytes, colours: bytes = b"", height: int = 4
    ) -> bytes:
        start = 54 + len(colours)
        head = struct.pack("<IiiHHIIiiII", 40, 4, height, 1, bits, packing, len(pixels), 0, 0,
                           len(colours) // 4, 0)  # fmt: skip
        file = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
        return file + head + colours + pixels

    yield "BMP, upside down", bitmap(24, 0, bytes(range(48)), height=-4)
    yield "BMP, 16 bit", bitmap(16, 0, bytes(range(32)))
    yield (
        "BMP, 16 bit with masks",
        bitmap(16, 3, bytes(range(32)), struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
    )
    yield "BMP, run lengths of 8 bit", bitmap(8, 1, b"\4\1\0\0" * 4 + b"\0\1", palette)
    yield "BMP, run lengths of 4 bit", bitmap(4, 2, b"\4\x12\0\0" * 4 + b"\0\1", palette)
    yield "BMP, run lengths that jump", bitmap(8, 1, b"\2\1\0\2\1\1\1\2\0\0\0\1", palette)
    core = struct.pack("<IHHHH", 12, 4, 4, 1, 24) + bytes(range(48))
    yield "BMP of OS/2", b"BM" + struct.pack("<IHHI", 26 + 48, 0, 0, 26) + core


def _transparent() -> Iterator[Odd]:
    kind, size = "transparency", (24, 16)

    def told(
        name: str, colour: int, depth: int, content: bytes, answered: bool | None = True
    ) -> Odd:
        data = png_of(colour, depth, before=chunk(b"tRNS", content))
        return of_bytes(kind, f"PNG {name}", data, size=size, answered=answered)

    yield told("palette, one colour gone", 3, 2, b"\0")
    yield told("palette, all half gone", 3, 2, b"\x80" * 4)
    yield told("palette, first two half gone", 3, 8, b"\x40\x80")
    yield told("palette, more than there are colours", 3, 1, b"\x40" * 9, None)
    yield told("palette, none", 3, 4, b"")
    yield told("palette of 1 bit", 3, 1, b"\xff\0")
    yield told("grey", 0, 8, b"\0\x0b")
    yield told("grey of 16 bits", 0, 16, b"\x0b\x16")
    yield told("grey of 1 bit", 0, 1, b"\0\1")
    yield told("RGB", 2, 8, b"\0\0\0\x0b\0\x16")
    yield told("RGB of 16 bits", 2, 16, b"\0\x0b\x16\x21\x2c\x37")
    yield told("RGB, too short", 2, 8, b"\0", None)
    yield told("alpha and a colour", 6, 8, b"\0\0\0\x0b\0\x16", None)
    clear = Image.new("RGBA", size, (255, 0, 0, 0))
    for format in ("PNG", "WEBP", "TIFF", "GIF"):
        data = encoded(clear, format)
        yield of_bytes(kind, f"{format}, nothing visible", data, size=size)
    yield of_bytes(
        kind,
        "GIF, first colour gone",
        encoded(textured("P", size), "GIF", transparency=0),
        size=size,
    )


def _moving() -> Iterator[Odd]:
    kind, size = "moving pictures", (32, 16)
    first = quarters(size)
    others = [Image.new("RGB", size, (each, 0, 0)) for each in (10, 20, 30)]
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(first, format, save_all=True, append_images=others)
        known = {"size": size, "corner": QUARTERS[0]}
        yield of_bytes(kind, f"{format} of 4 frames", data, **known)
    for disposal in (1, 2, 3):
        data = encoded(first, "GIF", save_all=True, append_images=others, disposal=disposal)
        yield of_bytes(kind, f"GIF, disposal {disposal}", data, size=size, corner=QUARTERS[0])
    for duration, loop in ((0, 0), (65535, 1), (20, 65535)):
        data = encoded(
            first, "GIF", save_all=True, append_images=others, duration=duration, loop=loop
        )
        yield of_bytes(kind, f"GIF, {duration} ms, loop {loop}", data, size=size)
    for blend, disposal in ((0, 1), (1, 2)):
        how = {"blend": blend, "disposal": disposal, "default_image": bool(blend)}
        data = encoded(first, "PNG", save_all=True, append_images=others, **how)
        yield of_bytes(kind, f"APNG, blend {blend}, disposal {disposal}", data, size=size)
    data = encoded(first, "WEBP", save_all=True, append_images=others, lossless=True)
    yield of_bytes(kind, "WebP, lossless frames", data, size=size, corner=QUARTERS[0])
    smaller = [each.resize((8, 8)) for each in others]
    data = encoded(first, "TIFF", save_all=True, append_images=smaller)
    yield of_bytes(kind, "TIFF of pages of two sizes", data, size=size, corner=QUARTERS[0])


def exif_of(**tags: Any) -> bytes:
    """EXIF with these tags, by their names."""
    exif = Image.Exif()
    for name, value in tags.items():
        exif[ExifTags.Base[name]] = value
    return exif.tobytes()


def _turned() -> Iterator[Odd]:
    """Spec api.md 7.1: the right way up, whatever the format."""
    kind, size = "EXIF orientation", (32, 16)
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        how = {"lossless": True} if format == "WEBP" else {}
        for orientation in range(1, 9):
            exif = exif_of(Orientation=orientation)
            data = encoded(quarters(size), format, exif=exif, **how)
            upright = size if orientation < 5 else size[::-1]
            corner = QUARTERS[SEEN_FIRST[orientation - 1]]
            yield of_bytes(kind, f"{format}, {orientation}", data, size=upright, corner=corner)
    for orientation in (0, 9, 255, 65535):
        data = encoded(quarters(size), "JPEG", exif=exif_of(Orientation=orientation))
        name = f"JPEG, {orientation}: there is no such"
        yield of_bytes(kind, name, data, size=size, corner=QUARTERS[0])


def _described() -> Iterator[Odd]:
    """Sound pixels beside metadata that is not: the picture is what counts."""
    kind, size = "metadata", (32, 16)
    known = {"size": size, "corner": QUARTERS[0]}
    plain = encoded(quarters(size), "PNG")
    head, rest = plain[:33], plain[33:]
    infotext = b"a cat\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 32x16"
    for name, told in {
        "an infotext": chunk(b"tEXt", b"parameters\0" + infotext),
        "no UTF-8": chunk(b"iTXt", b"parameters\0\0\0\0\0\xff\xfe\xc0"),
        "a text without a name": chunk(b"tEXt", b"\0nameless"),
        "a text without an end": chunk(b"tEXt", b"parameters"),
        "a name of 1,000 letters": chunk(b"tEXt", b"x" * 1000 + b"\0y"),
        "a NUL within": chunk(b"tEXt", b"parameters\0a\0b\0c"),
        "a long infotext": chunk(b"tEXt", b"parameters\0" + b"(((a:1.5), " * 60_000),
        "100,000 commas": chunk(b"tEXt", b"parameters\0x\nSteps: 1" + b", A: B" * 100_000),
        "many brackets": chunk(b"tEXt", b"parameters\0" + b"<lora:" * 100_000),
        "an open quote": chunk(b"tEXt", b'parameters\0x\nSteps: 1, A: "' + b'\\"' * 100_000),
        "a deep NovelAI comment": chunk(b"tEXt", b"Software\0NovelAI")
        + chunk(b"tEXt", b"Comment\0" + b"[" * 100_000),
        "numbers that are none": chunk(b"tEXt", b"parameters\0x\nSteps: 1, Seed: NaN, Eta: inf"),
        "a size that is huge": chunk(b"tEXt", b"parameters\0x\nSteps: 1, Size: 999999999999x0"),
        "gamma 0": chunk(b"gAMA", bytes(4)),
        "odd chromaticities": chunk(b"cHRM", b"\xff" * 32),
        "no resolution": chunk(b"pHYs", bytes(9)),
        "a profile that is noise": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(range(256)) * 9)),
        "an empty XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0"),
        "XMP with an orientation of letters": chunk(
            b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="abc"/>'
        ),
        "a chunk nobody knows": chunk(b"zzZz", bytes(100)),
    }.items():  # fmt: skip
        yield of_bytes(kind, f"PNG with {name}", head + told + rest, **known)
    for name, exif in {
        "noise": bytes(range(256)),
        "its name alone": b"Exif\0\0",
        "a directory out of reach": b"Exif\0\0II*\0\xff\xff\xff\xff",
        "a directory that leads to itself": b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "65,535 entries": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60),
        "an orientation of letters": exif_entry(0x0112, 2, 4, b"abc\0"),
        "an orientation of 2^31 values": exif_entry(0x0112, 3, 2**31 - 1, bytes(4)),
        "an orientation of a kind nobody knows": exif_entry(0x0112, 99, 1, b"\6\0\0\0"),
        "an orientation divided by 0": exif_entry(0x0112, 5, 1, struct.pack("<I", 0)),
        "a directory within that is none": exif_entry(0x8769, 4, 1, b"\xff\xff\xff\x7f"),
        "a directory within that is itself": exif_entry(0x8769, 4, 1, b"\x08\0\0\0"),
    }.items():
        for format in ("JPEG", "WEBP"):
            if format == "WEBP":
                data = encoded(quarters(size), format, exif=exif or b"\0", lossless=True)
            else:
                jpeg = encoded(quarters(size), format)
                told = exif if exif.startswith(b"Exif") else b"Exif\0\0" + exif
                segment = b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told
                data = jpeg[:2] + segment + jpeg[2:]
            yield of_bytes(kind, f"{format}, EXIF: {name}", data, **known)
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        how = {"lossless": True} if format == "WEBP" else {}
        data = encoded(quarters(size), format, icc_profile=bytes(range(200)), **how)
        yield of_bytes(kind, f"{format} with a colour profile that is noise", data, **known)
    comment = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 400 + b"\0"
    gif = encoded(quarters(size), "GIF")
    at = gif.index(b"\x2c", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    yield of_bytes(kind, "GIF with a comment of 100 kB", gif[:at] + comment + gif[at:], size=size)


def exif_entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """EXIF of one entry, true or not."""
    entry = struct.pack("<HHI", tag, kind, count) + value
    return b"Exif\0\0II*\0\x08\0\0\0\1\0" + entry + bytes(4)


#: By their kinds.
ODD = {
    "odd sizes": _sizes,
    "PNG depths": _png_depths,
    "colour modes": _modes,
    "transparency": _transparent,
    "moving pictures": _moving,
    "EXIF orientation": _turned,
    "metadata": _described,
}
