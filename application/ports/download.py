"""Getting a file from an address that a client named."""

from typing import Protocol

from hexfusion.domain.errors import HexfusionError


class LocalResource(HexfusionError):
    """The address is not on the public internet, or not certainly so."""

    def __init__(self) -> None:
        super().__init__("Request to local resource not allowed")


class DownloadFailed(HexfusionError):
    """There was no file, or it was too large or too slow. The message says which."""


class TooManyDownloads(HexfusionError):
    """As many downloads as may be are under way. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many pictures are being fetched; try again in {retry_after} s")
        self.retry_after = retry_after


class Download(Protocol):
    """Gets the bytes behind an `http` or `https` address. Safe to call from many threads."""

    def __call__(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        """With `public_only` no connection is made to anything but the public internet, whatever
        the address, its name server, or the server there does.

        Raises `LocalResource`, `DownloadFailed` and `TooManyDownloads`.
        """
        ...
