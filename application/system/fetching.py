"""Use-case: download a picture that a request names by URL. Source: spec api.md 7.1."""

from contextlib import nullcontext

from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.ports.download import Download, DownloadFailed
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import HexfusionError, InvalidRequest


class RequestsNotAllowed(HexfusionError):
    """Option api_enable_requests forbids downloads."""

    def __init__(self) -> None:
        super().__init__("Requests not allowed")


class FetchPicture:
    """Downloads pictures within the limits of the options. Thread-safe.

    The options are `api_enable_requests`, `api_forbid_local_requests` and `api_useragent`; clients
    cannot change them.
    """

    def __init__(
        self, download: Download, options: OptionsStore, room: WaitingRoom | None = None
    ) -> None:
        """`room` bounds how many of the downloads at once may be one party's."""
        self._download = download
        self._options = options
        self._room = room

    def __call__(self, url: str, field: str, party: str | None = None) -> bytes:
        """The file at `url`, the value of the request's `field`.

        Raises `RequestsNotAllowed`, `LocalResource`, `TooManyDownloads`, `TooManyWaiting`,
        `ShareTaken`, and `InvalidRequest` naming the field.
        """
        with self._room.place(party) if self._room else nullcontext():
            return self._fetched(url, field)

    def _fetched(self, url: str, field: str) -> bytes:
        options = self._options.snapshot()
        if not options.flag("api_enable_requests"):
            raise RequestsNotAllowed
        try:
            return self._download(
                url,
                public_only=options.flag("api_forbid_local_requests"),
                user_agent=options.text("api_useragent"),
            )
        except DownloadFailed as error:
            raise InvalidRequest(field, f"Invalid image url: {error}") from error
