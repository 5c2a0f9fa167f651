"""Encodes and decodes picture files, with their infotext.

Used for HTTP replies, saved files, and pictures sent by clients. Source: spec api.md 7.1 and 7.2,
prompts.md 8.3 and 8.4.
"""

import io
import struct
from contextlib import suppress
from typing import Literal

from PIL import ExifTags
from PIL.Image import DecompressionBombError, Image, Transpose
from PIL.Image import new as new_image
from PIL.Image import open as open_image
from PIL.PngImagePlugin import PngInfo

from hexfusion.application.pictures.costly_files import why_costly, why_costly_to_decode
from hexfusion.application.pictures.embedded_texts import (
    exif_comment,
    texts_of,
    utf8_read_as_latin1,
    windows_comment,
)
from hexfusion.domain.errors import InvalidRequest

PictureFormat = Literal["png", "jpeg", "webp"]

_FORMATS: dict[str, PictureFormat] = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "webp": "webp",
}
_MAX_SIDE = {"png": 2**31 - 1, "jpeg": 65535, "webp": 16383}  # pixels, by the formats' definitions

# Bytes for the comment in a JPEG segment: its maximum less EXIF headers and the comment's prefix.
_JPEG_COMMENT = 65533 - 6 - 40 - 8

#: Formats accepted from clients. Pillow reads more, some by running other programs. TGA comes last:
#: it has no signature, so that its reader takes what the others refuse and looks like a header.
READABLE = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "ICO", "PPM", "TGA")
#: Most pixels of a received picture: a file of a kilobyte can declare billions.
MAX_PIXELS = 8192 * 8192

#: Formats whose pictures, once decoded, hold on to no more than the bytes they were read from,
#: unless they move.
_LET_GO = ("PNG", "JPEG", "BMP")

#: How a picture is turned for each EXIF orientation, and which turns exchange width and height.
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_LYING = {Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90}


def picture_format(name: str) -> PictureFormat:
    """The format that `samples_format` names, in any case. Raises InvalidRequest."""
    if name.lower() not in _FORMATS:
        message = f"Invalid image format {name!r}: expected png, jpg, jpeg or webp"
        raise InvalidRequest("samples_format", message)
    return _FORMATS[name.lower()]


def fits(image: Image, format: str) -> bool:
    """Whether the format allows sides as long as the picture's."""
    return max(image.size) <= _MAX_SIDE[picture_format(format)]


def encode_picture(
    image: Image,
    format: str,
    infotext: str | None = None,
    quality: int = 80,
    embed: bool = True,
    lossless: bool = False,
) -> bytes:
    """The picture as the bytes of a PNG, JPEG or WebP file.

    In PNG `infotext` is the text chunk `parameters`, besides all other texts of `image.info`; in
    JPEG and WebP it is the EXIF UserComment, empty if there is none. Without `embed`
    (option `enable_pnginfo`) no text is written. `quality` is 1..100; `lossless` is for WebP.
    An infotext over 32,739 UTF-16 units is cut in a JPEG, where no more fits.
    Raises InvalidRequest for another format, or when the picture is too large for it.
    """
    kind = picture_format(format)
    if not fits(image, kind):
        message = f"a {kind} picture has at most {_MAX_SIDE[kind]} pixels a side, not {image.size}"
        raise InvalidRequest("samples_format", message)
    texts = texts_of(image)
    if infotext is not None:
        texts["parameters"] = infotext
    if not embed:
        texts = {}
    # A client may have sent half a surrogate pair; no file format can hold that.
    texts = {key: text.encode("utf-8", "replace").decode() for key, text in texts.items()}

    file = io.BytesIO()
    comment = texts.get("parameters", "").encode("utf-16-be")
    match kind:
        case "png":
            _for_png(image).save(file, "PNG", pnginfo=_text_chunks(texts))
        case "jpeg":
            exif = _exif(_cut(comment, _JPEG_COMMENT))
            eight_bit(image).save(file, "JPEG", quality=quality, exif=exif)
        case "webp":
            eight_bit(image).save(
                file, "WEBP", quality=quality, lossless=lossless, exif=_exif(comment)
            )
    return file.getvalue()


def _text_chunks(texts: dict[str, str]) -> PngInfo:
    chunks = PngInfo()
    for key, text in texts.items():
        if utf8_read_as_latin1(text) == text:
            chunks.add_text(key, text)  # tEXt if the text is Latin-1, otherwise iTXt
        else:  # readers would take it for UTF-8
            chunks.add_itxt(key, text)
    return chunks


def _exif(comment: bytes) -> bytes:
    """EXIF with a UserComment and nothing else, byte for byte as A1111 writes it.

    Pillow's own writer would give the tag the type BYTE; EXIF wants UNDEFINED, and readers insist.
    """
    comment = b"UNICODE\0" + comment
    first_ifd = struct.pack(">HHHLLL", 1, ExifTags.IFD.Exif, 4, 1, 26, 0)
    exif_ifd = struct.pack(">HHHLL", 1, ExifTags.Base.UserComment, 7, len(comment), 40)
    return b"Exif\0\0" + b"MM\0*\0\0\0\x08" + first_ifd + exif_ifd + comment


def _cut(utf16: bytes, limit: int) -> bytes:
    if len(utf16) <= limit:
        return utf16
    utf16 = utf16[: limit // 2 * 2]
    splits_a_pair = 0xD8 <= utf16[-2] <= 0xDB
    return utf16[:-2] if splits_a_pair else utf16


def _for_png(image: Image) -> Image:
    """A new picture in a mode that PNG has."""
    if image.mode in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"):
        return image.copy()  # `save` writes to its image, which another thread may be saving too
    if image.mode == "I":
        return image.convert("I;16")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def eight_bit(image: Image) -> Image:
    """A new picture in mode RGB or L: without palette or transparency, 8 bits per channel."""
    if image.mode in ("RGB", "L"):
        return image.copy()  # see above
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("L" if image.mode in ("1", "F") else "RGB")


def open_picture(data: bytes, field: str = "image") -> Image:
    """Open the picture in these bytes; its pixels are decoded at their first use.

    Raises InvalidRequest naming `field` if the bytes are no picture, or one that has more than
    MAX_PIXELS or is too expensive to decode.
    """
    too_large = f"a picture may have {MAX_PIXELS} pixels"
    if costly := why_costly(data):
        raise InvalidRequest(field, costly)
    try:
        image = open_image(io.BytesIO(data), formats=READABLE)
    except DecompressionBombError as error:
        raise InvalidRequest(field, too_large) from error
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise InvalidRequest(field, "Invalid encoded image") from error
    if image.width * image.height > MAX_PIXELS:
        raise InvalidRequest(field, too_large)
    if costly := why_costly_to_decode(image):
        raise InvalidRequest(field, costly)
    return image


def decoded_picture(data: bytes, field: str) -> Image:
    """The picture in these bytes, decoded and the right way up; its first frame, if it moves.

    A colour that means transparency becomes an alpha channel (spec api.md 7.1). Raises as
    `open_picture` does, also where the file is cut short.
    """
    return decode_upright(open_picture(data, field), field, own=True)


def decode_upright(image: Image, field: str, own: bool = False) -> Image:
    """A decoded copy, rotated according to EXIF, with transparency as an alpha channel.

    With `own` the picture itself may be returned. Raises `InvalidRequest` naming `field` if the
    file is truncated.
    """
    try:
        image.load()
        turn = _TURNS.get(orientation_of(image))
        if turn is not None:
            image = image.transpose(turn)
        elif not own or image.format not in _LET_GO or getattr(image, "is_animated", False):
            image = image.copy()
        if image.mode == "La":  # of Pillow's own making: no file has it, and little takes it
            image = image.convert("LA")
        if image.mode in ("RGB", "P") and isinstance(image.info.get("transparency"), bytes):
            image = image.convert("RGBA")
    except Exception as error:  # see above
        raise InvalidRequest(field, "Invalid encoded image") from error
    return image


def upright_size(image: Image) -> tuple[int, int]:
    """(width, height) that `decode_upright` will return; decodes nothing."""
    if image.format == "TIFF":  # Pillow tells the size as it will be
        return image.size
    width, height = image.size
    return (height, width) if _TURNS.get(orientation_of(image)) in _LYING else (width, height)


def orientation_of(image: Image) -> int:
    """The EXIF orientation in the metadata read so far, 1 to 8; 1 if it cannot be read."""
    try:
        # Not `image.getexif`: that of a PNG decodes the pixels first.
        orientation = Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1
    return orientation if isinstance(orientation, int) else 1


def flatten(image: Image, background: str, option: str) -> Image:
    """The picture (RGB) on a background of colour `background`, the value of option `option`.

    Only RGBA pictures are blended with the background; other transparency is dropped, as in A1111
    (spec images.md 1). Raises InvalidRequest naming the option if it is no colour.
    """
    if image.mode == "RGBA":
        try:
            ground = new_image("RGBA", image.size, background)
        except ValueError as error:
            raise InvalidRequest(option, f"{background!r} is no colour") from error
        ground.paste(image, mask=image)
        image = ground
    return eight_bit(image).convert("RGB")


def read_infotext(image: Image) -> str | None:
    """The infotext in a picture that was opened from a file, or None.

    A non-empty EXIF UserComment takes precedence over the text chunk `parameters`, and that over
    the comment that Windows writes; a GIF or JPEG comment counts when there is no EXIF (spec
    prompts.md 8.4).
    """
    if image.format == "PNG":
        _read_to_the_end(image)
    return infotext_so_far(image)


def infotext_so_far(image: Image) -> str | None:
    """The infotext in the metadata read so far; like `read_infotext`, without decoding pixels."""
    infotext = texts_of(image).get("parameters")
    if "exif" in image.info:
        return exif_comment(image) or infotext or windows_comment(image) or None
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        return comment.decode("utf-8", "ignore")
    return texts_of(image).get("comment") or infotext


def _read_to_the_end(image: Image) -> None:
    """Read text chunks after the pixels of a PNG, too; errors of a truncated file are ignored."""
    with suppress(Exception):  # see above
        image.load()
