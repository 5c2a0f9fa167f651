"""Embeddings inside pictures. Spec prompts.md 7.5; the writer here is made from it alone."""

import base64
import io
import json
import random
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hexfusion.application.pictures.embedded_embeddings import embedded_in

CONTENT = {
    "string_to_param": {"*": {"TORCHTENSOR": [[0.5, -1.25], [3.0, 4.0]]}},
    "name": "mine",
    "step": 7,
}
READ = {"string_to_param": {"*": ("tensor", [[0.5, -1.25], [3.0, 4.0]])}, "name": "mine", "step": 7}


def read(picture, format="png", **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    file.seek(0)
    return embedded_in(file, lambda numbers: ("tensor", numbers))


def test_in_a_text_chunk():
    chunk = PngInfo()
    chunk.add_text("sd-ti-embedding", base64.b64encode(json.dumps(CONTENT).encode()).decode())
    assert read(Image.new("RGB", (4, 4)), pnginfo=chunk) == READ


def test_a_picture_of_a_billion_pixels_is_damaged():
    """Pillow has an error of its own for it, which is no OSError."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    file = io.BytesIO(head + struct.pack(">I", zlib.crc32(chunk)))
    with pytest.raises(ValueError, match="holds no embedding"):
        embedded_in(file, lambda numbers: numbers)


def disguised(nibbles):
    state, out = 0, []
    for each in nibbles:
        state = (1664525 * state + 1013904223) % 2**32
        out.append(each ^ (state % 255 & 15))
    return out


def block(nibbles, height, draw):
    """A strip as high as the picture, whose low bits are these; its high bits are anything."""
    width = -(-len(nibbles) // (3 * height))
    padded = nibbles + [draw.randrange(16) for _ in range(3 * width * height - len(nibbles))]
    levels = [each | 16 * draw.randrange(1, 16) for each in disguised(padded)]
    return Image.frombytes("RGB", (width, height), bytes(levels))


@pytest.mark.parametrize("border", [0, 3])
def test_in_strips_at_both_sides(border):
    draw = random.Random(4)
    data = zlib.compress(json.dumps(CONTENT).encode())
    height = 10
    left = block([each & 15 for each in data], height, draw)
    right = block([each >> 4 for each in data], height, draw)
    middle = 20
    whole = Image.new("RGB", (left.width + middle + right.width, height), (32, 48, 64))
    for x in range(left.width + 1, left.width + middle - 1):
        for y in range(height):
            whole.putpixel((x, y), (draw.randrange(1, 256),) * 3)
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width + middle, 0))
    framed = Image.new("RGB", (whole.width + 2 * border, height + 2 * border))
    framed.paste(whole, (border, border))
    assert read(framed) == READ
    assert read(framed, "webp", lossless=True) == READ


@pytest.mark.parametrize("colour", ["black", "red", (32, 48, 64)])
def test_a_plain_picture_holds_none(colour):
    assert read(Image.new("RGB", (30, 20), colour)) is None


def test_data_that_is_cut_short_is_an_error():
    chunk = PngInfo()
    chunk.add_text("sd-ti-embedding", base64.b64encode(b'{"string_to_param":').decode())
    with pytest.raises(ValueError, match="Expecting"):
        read(Image.new("RGB", (4, 4)), pnginfo=chunk)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_an_error(content):
    with pytest.raises(ValueError, match="holds no embedding"):
        embedded_in(io.BytesIO(content), list)
