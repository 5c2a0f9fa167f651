"""Pictures on their way in: text that stands for the bytes of one. Source: spec api.md 7.1."""

from base64 import b64decode

from domain.errors import InvalidRequest


class RequestsNotAllowed(Exception):
    """The text is an address. This server fetches nothing, so no client can make it."""

    def __init__(self) -> None:
        super().__init__("Requests not allowed")


def picture_bytes(text: str, field: str) -> bytes:
    """The bytes that base64 or a `data:image/...` URI spells.

    Characters outside the alphabet, such as line breaks, are passed over. Raises `InvalidRequest`
    naming `field`, and `RequestsNotAllowed`.
    """
    text = text.strip()
    if text.startswith(("http://", "https://")):
        raise RequestsNotAllowed
    if text.startswith("data:image/"):
        text = text.partition(";")[2].partition(";")[0].partition(",")[2]
    try:
        return b64decode(text)
    except ValueError as error:  # wrong padding, or letters that are not ASCII
        raise InvalidRequest(field, "Invalid encoded image") from error
