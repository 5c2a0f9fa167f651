"""Encodes replies: JSON, pictures in base64, and A1111's `info` text.

Source: spec api.md 2 (compact, raw UTF-8), 5.5 (plain base64), 9 (separators and escapes of
`info`).
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from PIL.Image import Image

from hexfusion.application.pictures.picture_files import encode_picture, fits
from hexfusion.domain.errors import InvalidRequest, ReplyTooLarge
from hexfusion.domain.generation import Info
from hexfusion.domain.plain_values import plain

CHUNK = 3 << 16
"""Bytes of a picture that are made base64 at once; a multiple of 3, so that chunks fit together."""


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


def picture_chunks(
    image: Image, format: str, *, quality: int, infotext: str | None = None, embed: bool = True
) -> Iterator[bytes]:
    """A picture as plain base64, no data-URI prefix (spec api.md 7.2).

    One whose sides are too long for the format is sent as PNG, as it is saved: it is made, and not
    to be lost for that. Raises `Unencodable`.
    """
    try:
        format = format if fits(image, format) else "png"
        picture = encode_picture(image, format, infotext, quality=quality, embed=embed)
    except InvalidRequest as error:  # an option's fault, not the request's
        raise Unencodable(error.message) from error
    for start in range(0, len(picture), CHUNK):
        yield b64encode(picture[start : start + CHUNK])


def picture_text(
    image: Image, format: str, *, quality: int, infotext: str | None = None, embed: bool = True
) -> str:
    """A picture as `picture_chunks` has it, as one text."""
    chunks = picture_chunks(image, format, quality=quality, infotext=infotext, embed=embed)
    return b"".join(chunks).decode("ascii")


class Texts:
    """A member of a reply that is a list of texts, each an iterable of chunks.

    The texts need no escapes. They are made one after the other, while the reply is written.
    """

    def __init__(self, texts: Iterable[Iterable[bytes]]) -> None:
        self.texts = texts

    def chunks(self) -> Iterator[bytes]:
        """The list as JSON."""
        before = b"["
        for text in self.texts:
            yield before + b'"'
            yield from text
            yield b'"'
            before = b","
        yield b"[]" if before == b"[" else b"]"


class LongText(Texts):
    """A member that is a single text, as an iterable of chunks."""

    def __init__(self, text: Iterable[bytes]) -> None:
        super().__init__([text])

    def chunks(self) -> Iterator[bytes]:
        """The text as JSON."""
        yield b'"'
        for text in self.texts:
            yield from text
        yield b'"'


def json_chunks(
    kind: type[msgspec.Struct], most: int, field: str, **members: object
) -> Iterator[bytes]:
    """The JSON of a struct of that kind with these members, in chunks, never whole in memory.

    Members may be `Texts` and `LongText`. Raises `ReplyTooLarge`, naming `field`, as soon as there
    are more than `most` bytes.
    """
    size = 0
    for chunk in _chunks(kind, members):
        size += len(chunk)
        if size > most:
            raise ReplyTooLarge(field, most)
        yield chunk


def _chunks(kind: type[msgspec.Struct], members: Mapping[str, object]) -> Iterator[bytes]:
    before = b"{"
    for name in kind.__struct_fields__:
        value = members[name]
        yield before + to_json(name) + b":"
        if isinstance(value, Texts):
            yield from value.chunks()
        else:
            yield to_json(value)
        before = b","
    yield b"}"
