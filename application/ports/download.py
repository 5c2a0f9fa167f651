"""Port: downloads from URLs that clients name."""

from typing import Protocol

from hexfusion.domain.errors import HexfusionError


class LocalResource(HexfusionError):
    """The URL does not lead to the public internet, or not certainly."""

    def __init__(self) -> None:
        super().__init__("Request to local resource not allowed")


class DownloadFailed(HexfusionError):
    """The download failed: no file, too large, or too slow. The message tells which."""


class TooManyDownloads(HexfusionError):
    """The limit of simultaneous downloads is reached. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many pictures are being fetched; try again in {retry_after} s")
        self.retry_after = retry_after


class Download(Protocol):
    """Downloads an `http` or `https` URL. Thread-safe."""

    def __call__(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        """Download the file at `url`; returns its bytes.

        With `public_only` connections are made to public addresses only, whatever the URL, name
        servers and redirects say. `user_agent` is the value of the User-Agent header.

        Raises `LocalResource`, `DownloadFailed` and `TooManyDownloads`.
        """
        ...
