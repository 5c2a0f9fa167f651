"""Encodes replies: JSON, pictures in base64, and A1111's `info` text.

Source: spec api.md 2 (compact, raw UTF-8), 5.5 (plain base64), 9 (separators and escapes of
`info`).
"""

import json
from base64 import b64encode
from typing import Any

import msgspec
from PIL.Image import Image

from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Info
from hexfusion.domain.plain_values import plain


class Unencodable(Exception):
    """The options select a picture format that cannot be encoded."""


def to_json(value: object) -> bytes:
    """Compact JSON with raw non-ASCII characters.

    Values of libraries' own types are written as what they stand for (`plain`), NaN as null, and
    half a surrogate pair as "?". Raises TypeError for what JSON cannot say.
    """
    try:
        return msgspec.json.encode(value, enc_hook=plain)
    except (TypeError, UnicodeEncodeError):  # a key of a library's own type, or half a pair
        return msgspec.json.encode(plain(msgspec.to_builtins(value, enc_hook=plain)))


def info_text(info: Info) -> str:
    """`info` as A1111 writes it: spaced separators, ASCII only, null for what JSON lacks."""
    return json.dumps(msgspec.to_builtins(info, enc_hook=_or_null), default=_or_null)


def _or_null(value: object) -> Any:
    return plain(value, otherwise=lambda _: None)


def picture_text(
    image: Image, format: str, *, quality: int, infotext: str | None = None, embed: bool = True
) -> str:
    """A picture as plain base64, no data-URI prefix (spec api.md 7.2). Raises `Unencodable`."""
    try:
        picture = encode_picture(image, format, infotext, quality=quality, embed=embed)
    except InvalidRequest as error:  # an option's fault, not the request's
        raise Unencodable(error.message) from error
    return b64encode(picture).decode("ascii")
