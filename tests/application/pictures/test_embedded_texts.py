"""Texts in files, in whatever encoding their writers chose (spec prompts.md 8.4)."""

import io
import struct
import zlib

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.application.pictures.embedded_texts import user_comment, utf8_read_as_latin1
from hexfusion.application.pictures.picture_files import encode_picture, read_infotext
from hexfusion.application.pictures.receiving import receive

INFOTEXT = "Kočka č. 5, červený kruh 红色 🔴\nSteps: 20, Sampler: Euler, Seed: 3"
BIG, LITTLE = INFOTEXT.encode("utf-16-be"), INFOTEXT.encode("utf-16-le")
UTF8 = INFOTEXT.encode()
SHORT = "Kočka"

COMMENTS = {
    "UNICODE, big endian, as the reference": (b"UNICODE\0" + BIG, INFOTEXT),
    "UNICODE, little endian": (b"UNICODE\0" + LITTLE, INFOTEXT),
    "UNICODE, big endian with its mark": (b"UNICODE\0\xfe\xff" + BIG, INFOTEXT),
    "UNICODE, little endian with its mark": (b"UNICODE\0\xff\xfe" + LITTLE, INFOTEXT),
    "UNICODE, yet UTF-8": (b"UNICODE\0" + UTF8, INFOTEXT),
    "UNICODE, yet UTF-8 with its mark": (b"UNICODE\0\xef\xbb\xbf" + UTF8, INFOTEXT),
    "UNICODE, yet UTF-8 of odd length": (b"UNICODE\0" + b"a cat", "a cat"),
    "UNICODE in other capitals": (b"Unicode\0" + BIG, INFOTEXT),
    "UNICODE with NULs at its end": (b"UNICODE\0" + BIG + b"\0\0\0\0", INFOTEXT),
    "UNICODE, cut within a pair": (b"UNICODE\0" + "a🔴".encode("utf-16-be")[:-2], "a"),
    "UNICODE, Chinese whose bytes are ASCII": (b"UNICODE\0" + "中".encode("utf-16-be"), "中"),
    "UNICODE, nothing": (b"UNICODE\0", ""),
    "ASCII": (b"ASCII\0\0\0a cat", "a cat"),
    "ASCII, yet UTF-8": (b"ASCII\0\0\0" + UTF8, INFOTEXT),
    "ASCII, yet Latin-1": (b"ASCII\0\0\0caf\xe9", "café"),
    "JIS, Shift JIS as the reference": (b"JIS\0\0\0\0\0" + "日本".encode("shift_jis"), "日本"),
    "JIS with escapes": (b"JIS\0\0\0\0\0" + "日本".encode("iso2022_jp"), "日本"),
    "JIS, yet UTF-8": (b"JIS\0\0\0\0\0" + "ž🔴 a".encode(), "ž🔴 a"),
    "undefined": (b"\0\0\0\0\0\0\0\0" + UTF8, INFOTEXT),
    "undefined, UTF-16": (b"\0\0\0\0\0\0\0\0" + BIG, INFOTEXT),
    "no prefix": (UTF8, INFOTEXT),
    "no prefix, UTF-16 little endian": (b"\xff\xfe" + LITTLE, INFOTEXT),
    "no prefix, what cannot be decoded is left out": (b"no prefix \xc3\xa9\xff", "no prefix é"),
    "blank, as cameras write it": (b"\0" * 200, ""),
    "empty": (b"", ""),
}


@pytest.mark.parametrize("name", COMMENTS)
@pytest.mark.parametrize("little", [False, True])
def test_user_comments(name, little):
    comment, text = COMMENTS[name]
    assert user_comment(comment, little=little) == text


def test_the_files_byte_order_decides_where_nothing_else_does():
    comment = b"UNICODE\0" + "a cat".encode("utf-16-le")
    assert user_comment(comment, little=True) == "a cat"
    assert user_comment(comment, little=False) == comment[8:].decode("utf-16-be")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_comments_as_the_reference_writes_them_come_back(text):
    if text[:1] not in ("\ufeff", "\ufffe") and "\ufeff" not in text[:2]:
        assert user_comment(b"UNICODE\0" + text.encode("utf-16-be")) == text


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_read(comment, little):
    assert isinstance(user_comment(comment, little=little), str)
    assert isinstance(user_comment(b"UNICODE\0" + comment, little=little), str)


def jpeg(exif: bytes) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (2, 2)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def entry(order: str, tag: int, kind: int, data: bytes) -> bytes:
    """EXIF whose first IFD has this one tag, and nothing else."""
    mark = b"MM" if order == ">" else b"II"
    ifd = struct.pack(order + "HHHLLL", 1, tag, kind, len(data), 26, 0)
    return b"Exif\0\0" + mark + struct.pack(order + "HL", 42, 8) + ifd + data


USER, XP, ASCII, BYTE, UNDEFINED = 0x9286, 0x9C9C, 2, 1, 7


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(
    ("tag", "kind", "data"),
    [
        (USER, UNDEFINED, b"UNICODE\0" + BIG),
        (USER, UNDEFINED, b"UNICODE\0" + LITTLE),
        (USER, BYTE, b"UNICODE\0" + BIG),
        (USER, ASCII, UTF8 + b"\0"),
        (USER, ASCII, b"ASCII\0\0\0" + UTF8 + b"\0"),
        (XP, BYTE, LITTLE + b"\0\0"),
        (XP, UNDEFINED, LITTLE),
    ],
)
def test_comments_of_the_first_ifd(order, tag, kind, data):
    file = jpeg(entry(order, tag, kind, data))
    assert read_infotext(PIL.Image.open(io.BytesIO(file))) == INFOTEXT
    assert receive(file).info["parameters"] == INFOTEXT


def both(first: bytes, exif: bytes) -> bytes:
    tags = PIL.Image.Exif()
    tags[XP] = first
    tags.get_ifd(0x8769)[USER] = exif
    return tags.tobytes()


def test_the_user_comment_comes_before_windows_comment():
    data = both("other".encode("utf-16-le"), b"UNICODE\0" + BIG)
    assert read_infotext(PIL.Image.open(io.BytesIO(jpeg(data)))) == INFOTEXT
    data = both(LITTLE, b"UNICODE\0")
    assert read_infotext(PIL.Image.open(io.BytesIO(jpeg(data)))) == INFOTEXT


def test_parameters_come_before_windows_comment():
    image = PIL.Image.new("RGB", (2, 2))
    image.info.update(parameters="text", exif=entry("<", XP, BYTE, LITTLE))
    assert read_infotext(image) == "text"


def png(kind: bytes, content: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (kind, content), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        (b"tEXt", b"parameters\0" + UTF8, INFOTEXT),  # not by the standard, but programs do it
        (b"zTXt", b"parameters\0\0" + zlib.compress(UTF8), INFOTEXT),
        (b"iTXt", b"parameters\0\0\0\0\0" + UTF8, INFOTEXT),
        (b"tEXt", b"parameters\0caf\xe9 \xb0", "café °"),
        (b"tEXt", b"parameters\0\xc3", "Ã"),
        (b"tEXt", b"parameters\0\xc3\xa9\xe9", "Ã©é"),  # not UTF-8 as a whole
        (b"iTXt", b"parameters\0\0\0\0\0" + "Ã©".encode(), "Ã©"),
        (b"eXIf", entry("<", USER, UNDEFINED, b"UNICODE\0" + BIG)[6:], INFOTEXT),
    ],
)
def test_texts_of_a_png(kind, content, text):
    assert receive(png(kind, content)).info["parameters"] == text


@pytest.mark.parametrize("text", ["Ã©", "Â°C", "\xf0\x9f\x94\xb4", "a Ã© b"])
def test_text_that_looks_like_utf8_comes_back(text):
    """Written as an international text, lest it be taken for UTF-8."""
    assert utf8_read_as_latin1(text) != text
    for format in ("png", "jpeg", "webp"):
        data = encode_picture(PIL.Image.new("RGB", (2, 2)), format, text)
        assert receive(data).info["parameters"] == text
