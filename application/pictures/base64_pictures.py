"""Pictures on their way in: text that stands for the bytes of one. Source: spec api.md 7.1."""

from base64 import b64decode
from collections.abc import Callable

from hexfusion.domain.errors import InvalidRequest

#: The bytes behind an address that a request's field holds: address, field.
Fetch = Callable[[str, str], bytes]
#: The same for who asks: address, field, their party.
FetchFor = Callable[[str, str, str | None], bytes]


def picture_bytes(text: str, field: str, fetch: Fetch) -> bytes:
    """The bytes that base64 or a `data:image/...` URI spells, or that `fetch` gets.

    Characters outside the alphabet, such as line breaks, are passed over. Raises `InvalidRequest`
    naming `field`, and what `fetch` raises.
    """
    text = text.strip()
    if text.startswith(("http://", "https://")):
        return fetch(text, field)
    if text.startswith("data:image/"):
        text = _content(text)
    try:
        return b64decode(text)
    except ValueError as error:  # wrong padding, or letters that are not ASCII
        raise InvalidRequest(field, "Invalid encoded image") from error


def _content(uri: str) -> str:
    """What follows the comma in the part behind the first semicolon; found by place, since each
    piece cut off would be another copy of a large text."""
    start = uri.find(";") + 1
    end = uri.find(";", start)
    end = len(uri) if end < 0 else end
    comma = uri.find(",", start, end) if start else -1
    return uri[comma + 1 : end] if comma >= 0 else ""
