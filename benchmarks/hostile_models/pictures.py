"""Pictures that carry, or pretend to carry, an embedding."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmarks.hostile_models.case import Case, Ground, content


def cases() -> Iterator[Case]:
    for label, (suffix, make) in _PICTURES.items():
        file = f"picture-{label}{suffix}".replace(" ", "-")
        # That a picture holds nothing, or what it should hold is damaged, is nobody's business,
        # but the log's.
        yield Case("embedding", "picture", label, file, _made(make), quiet=True)


def _made(make: Callable[[], bytes]) -> Callable[[Path, Ground], None]:
    def place(path: Path, ground: Ground) -> None:
        content(make())(path, ground)

    return place


def _holding(text: bytes | str, *, packed: bool = False) -> Callable[[], bytes]:
    """A PNG with that in its text chunk."""

    def make() -> bytes:
        raw = text.encode() if isinstance(text, str) else text
        about = PngInfo()
        about.add_text("sd-ti-embedding", base64.b64encode(raw).decode(), zip=packed)
        return _saved("PNG", pnginfo=about)

    return make


def _saved(format: str, size: tuple[int, int] = (32, 32), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 120, 200)).save(buffer, format, **options)
    return buffer.getvalue()


def _json(value: object) -> Callable[[], bytes]:
    return _holding(json.dumps(value))


def _tensor(numbers: object) -> Callable[[], bytes]:
    return _json({"name": "evil", "string_to_param": {"*": {"TORCHTENSOR": numbers}}})


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _png(*chunks: bytes, width: int = 8, height: int = 8) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    """300 MB of text in a compressed chunk."""
    packed = zlib.compress(b"A" * 300_000_000)
    return _png(_chunk(b"zTXt", b"sd-ti-embedding\0\0" + packed))


def _pixel_bomb() -> bytes:
    """Black of 30,000 by 30,000."""
    packer = zlib.compressobj()
    rows = b"".join(packer.compress(bytes(1 + 3 * 30_000)) for _ in range(30_000))
    return _png(_chunk(b"IDAT", rows + packer.flush()), width=30_000, height=30_000)


def _strips(hidden: bytes) -> Callable[[], bytes]:
    """Two strips and what lies between; the strips hold those bytes, disguised as A1111 does."""

    def make() -> bytes:
        state, stream = 0, []
        for _ in range(len(hidden)):
            state = (1664525 * state + 1013904223) % 2**32
            stream.append(state % 255 & 15)
        width = 24  # pixels, three nibbles each
        rows = -(-len(hidden) // (3 * width))
        picture = Image.new("RGB", (2 * width + 12, rows), (16, 16, 16))
        for side, shift in ((0, 0), (width + 12, 4)):
            nibbles = [
                (byte >> shift & 15) ^ mask for byte, mask in zip(hidden, stream, strict=True)
            ]
            nibbles += [1] * (3 * width * rows - len(nibbles))
            strip = Image.frombytes("RGB", (width, rows), bytes(16 + each for each in nibbles))
            picture.paste(strip, (side, 0))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    return make


_PICTURES: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "no picture": (".png", lambda: b"garbage" * 100),
    "empty": (".webp", lambda: b""),
    "cut": (".png", lambda: _saved("PNG")[:60]),
    "a text bomb": (".png", _text_bomb),
    "a pixel bomb": (".png", _pixel_bomb),
    "sides of 2^31": (".png", lambda: _png(width=2**31 - 1, height=2**31 - 1)),
    "no base64": (".png", _holding(b"")),
    "no JSON": (".png", _holding("{not json")),
    "JSON nested 100,000 deep": (".png", _holding('{"a":' * 100_000, packed=True)),
    "a number of 100,000 digits": (".png", _holding('{"step": ' + "9" * 100_000 + "}")),
    "a list": (".png", _json([1, 2, 3])),
    "rows of different lengths": (".png", _tensor([[1.0] * 64, [1.0] * 63])),
    "texts for numbers": (".png", _tensor([["x"] * 64])),
    "numbers too large": (".png", _tensor([[1e308] * 64])),
    "no numbers": (
        ".png",
        _holding('{"string_to_param": {"*": {"TORCHTENSOR": [[NaN, Infinity]]}}}'),
    ),
    "objects for numbers": (".png", _tensor({"a": [1]})),
    "no rows": (".png", _tensor([])),
    "nested 40 deep": (".png", _tensor(json.loads("[" * 40 + "1" + "]" * 40))),
    "a name that is a path": (
        ".png",
        _json(
            {"name": "../../etc/passwd", "string_to_param": {"*": {"TORCHTENSOR": [["x"] * 64]}}}
        ),
    ),
    "strips of noise": (".png", _strips(b"\x99" * 500)),
    "strips of a bomb": (".png", _strips(zlib.compress(b"[" * 100_000_000))),
    "strips of no embedding": (".webp", _strips(zlib.compress(b'{"a": 1}'))),
    "strips nested deep": (".png", _strips(zlib.compress(b"[" * 200_000))),
    "a picture like any other": (".webp", lambda: _saved("WEBP")),
    "a file of a format nobody reads": (".jxl", lambda: b"\xff\x0a" + bytes(200)),
}
