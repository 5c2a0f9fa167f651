"""Reads the texts that picture files hold, in whatever encoding their writer chose.

Source: spec prompts.md 8.3 and 8.4; PNG (W3C) 11.3.3; Exif 2.32, 4.6.5 (UserComment). The reference
decodes a UserComment as UTF-16, big endian; other programs write the other byte order, or UTF-8,
under the same name, or put the comment elsewhere.
"""

import struct
from contextlib import suppress

from PIL import ExifTags
from PIL.Image import Exif, Image

#: What only an infotext says: decides between readings of the same bytes.
_HALLMARK = "Steps: "
_UTF16 = {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}
_UTF8_MARK = b"\xef\xbb\xbf"


def texts_of(image: Image) -> dict[str, str]:
    """The texts in a picture's metadata by key, as plain `str`.

    Pillow gives an international text of a PNG as a subclass of `str`. The other texts of a PNG
    are Latin-1 by definition; those that are UTF-8 nevertheless are read as such.
    """
    return {
        str(key): _png_text(text) if image.format == "PNG" else str.__str__(text)
        for key, text in image.info.items()
        if isinstance(text, str)
    }


def _png_text(text: str) -> str:
    international = type(text) is not str
    return str.__str__(text) if international else utf8_read_as_latin1(text)


def utf8_read_as_latin1(text: str) -> str:
    """The text, anew as UTF-8 if its characters are the bytes of UTF-8 beyond ASCII."""
    with suppress(UnicodeError):
        return text.encode("latin-1").decode("utf-8")
    return text


def exif_comment(image: Image) -> str:
    """The comment in a picture's EXIF data; empty if there is none, or the data is broken.

    Looked for in this order: UserComment in the Exif IFD, where it belongs, and in the first IFD.
    """
    try:
        exif = image.getexif()
        for tags in (exif.get_ifd(ExifTags.IFD.Exif), exif):
            comment = tags.get(ExifTags.Base.UserComment)
            if text := user_comment(_as_bytes(comment), little=exif.endian == "<"):
                return text
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        pass  # broken EXIF is as good as none
    return ""


def windows_comment(image: Image) -> str:
    """The comment that Windows shows (XPComment, UTF-16 little endian); empty if there is none."""
    try:
        exif: Exif = image.getexif()
        comment = _as_bytes(exif.get(ExifTags.Base.XPComment))
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return ""
    return comment.decode("utf-16-le", "ignore").split("\0")[0]


def _as_bytes(value: object) -> bytes:
    """The bytes of an EXIF value: Pillow makes text of type ASCII, and numbers of type BYTE."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode("latin-1", "ignore")
        case tuple():
            return bytes(value)
        case _:
            return b""


def user_comment(comment: bytes, *, little: bool = False) -> str:
    """The text of a UserComment, by its 8-byte prefix; `little`: the EXIF data is little endian.

    Without a prefix, and where the bytes are not what the prefix says, UTF-8 is tried. What cannot
    be decoded is left out, as in the reference.
    """
    code, text = comment[:8].upper(), comment[8:]
    match code:
        case b"UNICODE\0":
            found = _unicode(text, little)
        case b"ASCII\0\0\0":
            found = _utf8(text) or text.decode("cp1252", "ignore")
        case b"JIS\0\0\0\0\0":
            found = _japanese(text)
        case b"\0\0\0\0\0\0\0\0":
            found = _unmarked(text, little)
        case _:
            found = _unmarked(comment, little)
    return found.rstrip("\0")


def _unmarked(text: bytes, little: bool) -> str:
    """Text of unnamed encoding: UTF-8, or UTF-16 where there are NULs or a byte order mark."""
    if text[:2] in _UTF16 or b"\0" in text.rstrip(b"\0"):
        return _unicode(text, little)
    return _utf8(text) or text.decode("utf-8", "ignore")


def _utf8(text: bytes) -> str:
    """The text if it is UTF-8 without NULs inside, else nothing."""
    text = text.removeprefix(_UTF8_MARK).rstrip(b"\0")
    if b"\0" in text:
        return ""
    with suppress(UnicodeDecodeError):
        return text.decode("utf-8")
    return ""


def _japanese(text: bytes) -> str:
    """Exif means JIS X 0208 with escapes; the reference reads Shift JIS."""
    encodings = ("iso2022_jp",) if b"\x1b" in text else ("shift_jis", "utf-8", "euc_jp")
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            return text.decode(encoding)
    return text.decode("shift_jis", "ignore")


def _unicode(text: bytes, little: bool) -> str:
    """UTF-16 of either byte order, or UTF-8 where the bytes can be nothing else."""
    if encoding := _UTF16.get(text[:2]):
        return text[2:].decode(encoding, "ignore")
    utf8 = _utf8(text)
    if utf8 and (text.startswith(_UTF8_MARK) or len(text) % 2 or _HALLMARK in utf8):
        return utf8
    big_reading = text.decode("utf-16-be", "ignore")
    little_reading = text.decode("utf-16-le", "ignore")
    if _HALLMARK in big_reading:
        return big_reading
    if _HALLMARK in little_reading or (little and _latin(little_reading) > _latin(big_reading)):
        return little_reading
    return big_reading


def _latin(text: str) -> int:
    """How many characters are printable ASCII."""
    return sum(" " <= character <= "~" for character in text)
