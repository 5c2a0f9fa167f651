"""`POST /sdapi/v1/png-info` over texts of every kind (spec prompts.md 8.3, 8.4).

Pillow gives an international text (iTXt) as a subclass of `str`, rational numbers as its own type,
and sets and tuples: each must reach the client as JSON.
"""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from hexfusion.application.pictures.picture_files import encode_picture

LINE = "Steps: 5, Sampler: Euler, Seed: 3"
WIDE = f"červený kruh 红色 🔴\n{LINE}"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(*texts: bytes, behind: bytes = b"") -> bytes:
    """A PNG of one pixel with these chunks before its pixels, and `behind` after them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return SIGNATURE + header + b"".join(texts) + pixels + behind + chunk(b"IEND", b"")


def itxt(key: bytes, text: bytes, *, packed: bool = False, lang: bytes = b"", own: bytes = b""):
    text = zlib.compress(text) if packed else text
    content = key + b"\0" + bytes([packed, 0]) + lang + b"\0" + own + b"\0" + text
    return chunk(b"iTXt", content)


def text(key: bytes, value: bytes) -> bytes:
    return chunk(b"tEXt", key + b"\0" + value)


def ztxt(key: bytes, value: bytes) -> bytes:
    return chunk(b"zTXt", key + b"\0\0" + zlib.compress(value))


@pytest.fixture
def told(client):
    """(info, items, parameters) that the route tells of a file."""

    def ask(data: bytes):
        image = base64.b64encode(data).decode()
        result = client.simulate_post("/sdapi/v1/png-info", json={"image": image})
        assert result.status_code == 200, result.text
        return result.json["info"], result.json["items"], result.json["parameters"]

    return ask


def test_a_picture_of_ours_beyond_latin_1(told) -> None:
    """Spec prompts.md 8.3: its `parameters` is an iTXt chunk."""
    data = encode_picture(Image.new("RGB", (8, 8)), "png", WIDE)
    assert b"iTXt" in data
    info, items, parameters = told(data)
    assert (info, items) == (WIDE, {})
    assert (parameters["Prompt"], parameters["Seed"]) == ("červený kruh 红色 🔴", "3")


UTF8 = WIDE.encode()

NEIGHBOURS = {
    "iTXt, plain": (png(itxt(b"parameters", UTF8)), WIDE, {}),
    "iTXt, packed": (png(itxt(b"parameters", UTF8, packed=True)), WIDE, {}),
    "iTXt with a language": (
        png(itxt(b"parameters", UTF8, lang=b"cs-CZ", own="parametry č".encode())),
        WIDE,
        {},
    ),
    "iTXt behind the pixels": (png(behind=itxt(b"parameters", UTF8)), WIDE, {}),
    "iTXt, packed, behind the pixels": (
        png(behind=itxt(b"parameters", UTF8, packed=True)),
        WIDE,
        {},
    ),
    "zTXt": (png(ztxt(b"parameters", LINE.encode())), LINE, {}),
    "several of one key, the last counts": (
        png(text(b"parameters", b"first"), itxt(b"parameters", UTF8)),
        WIDE,
        {},
    ),
    "several of one key, the last is tEXt": (
        png(itxt(b"parameters", UTF8), text(b"parameters", b"last")),
        "last",
        {},
    ),
    "items as iTXt": (
        png(itxt(b"Author", "é ž".encode()), itxt(b"postprocessing", b"up"), text(b"a", b"b")),
        "",
        {"Author": "é ž", "postprocessing": "up", "a": "b"},
    ),
    "a NUL in iTXt": (png(itxt(b"parameters", b"a\0b")), "a\0b", {}),
    "a NUL in tEXt": (png(text(b"parameters", b"a\0b")), "a\0b", {}),
    "no text": (png(itxt(b"parameters", b"")), "", {}),
    "half a surrogate pair as bytes, no UTF-8": (png(itxt(b"x", b"a\xed\xa0\x80b")), "", {}),
    "a key beyond ASCII": (png(itxt(b"\xe9", b"v")), "", {"é": "v"}),
    "NovelAI's items as iTXt": (
        png(itxt(b"Software", b"NovelAI"), itxt(b"Comment", b"{}"), itxt(b"parameters", UTF8)),
        WIDE,
        {"Software": "NovelAI", "Comment": "{}"},
    ),
    "XMP": (
        png(itxt(b"XML:com.adobe.xmp", b"<x:xmpmeta>\xc3\xa9</x:xmpmeta>")),
        "",
        {"XML:com.adobe.xmp": "<x:xmpmeta>é</x:xmpmeta>", "xmp": "<x:xmpmeta>é</x:xmpmeta>"},
    ),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_texts_of_a_png(told, name: str) -> None:
    data, info, items = NEIGHBOURS[name]
    assert told(data)[:2] == (info, items)


def saved(format: str, mode: str = "RGB", **how: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, format, **how)
    return file.getvalue()


def tiff() -> bytes:
    tags = ImageFileDirectory_v2()
    tags[270] = WIDE  # ImageDescription
    tags[282], tags[283] = 72, 72.5
    return saved("TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    ("data", "items"),
    [
        (saved("JPEG", comment=WIDE.encode()), {"comment": WIDE}),
        (saved("GIF", "P", comment=WIDE.encode()), {"version": "GIF89a", "comment": WIDE}),
        (saved("WEBP", xmp="<x>ž</x>".encode()), {"xmp": "<x>ž</x>"}),
        (saved("AVIF", xmp="<x>ž</x>".encode()), {"xmp": "<x>ž</x>"}),
        (tiff(), {"compression": "raw"}),
        (saved("PNG", transparency=(1, 2, 3)), {"transparency": [1, 2, 3]}),
        (saved("PNG", dpi=(72.5, 72)), {}),
        (saved("BMP", dpi=(72, 72)), {"compression": 0}),
        (saved("JPEG", dpi=(72, 72)), {}),
        (saved("PNG", "I;16"), {}),
    ],
    ids=lambda value: "",
)
def test_metadata_of_other_formats_is_json(told, data: bytes, items: dict[str, object]) -> None:
    assert told(data)[1].items() >= items.items()


def test_extras_carry_international_texts_on(client, house) -> None:
    """Spec images.md 10.3: the source's metadata is kept."""
    data = png(itxt(b"parameters", UTF8), itxt(b"Author", "ž".encode()))
    info = PngInfo()
    info.add_itxt("parameters", WIDE, lang="en", tkey="x")
    for source in (data, saved("PNG", pnginfo=info)):
        body = {"image": base64.b64encode(source).decode(), "upscaler_1": "None"}
        result = client.simulate_post("/sdapi/v1/extra-single-image", json=body)
        assert result.status_code == 200, result.text
