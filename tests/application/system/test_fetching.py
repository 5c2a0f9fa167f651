"""What the options allow to fetch: spec api.md 7.1."""

import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions, SavedOptions
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.ports.download import DownloadFailed, LocalResource, TooManyDownloads
from hexfusion.application.system.fetching import FetchPicture, RequestsNotAllowed
from hexfusion.domain.errors import InvalidRequest, ShareTaken
from hexfusion.domain.options import Options

URL = "https://a.test/x.png"


class Wire:
    """Remembers what it was asked for, and answers or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, bool, str]] = []
        self.error = error

    def __call__(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        self.asked.append((url, public_only, user_agent))
        if self.error:
            raise self.error
        return b"a picture"


def fetch(wire: Wire, **options: object) -> bytes:
    stored = MemoryOptions(SavedOptions(Options().updated(options)))
    return FetchPicture(wire, stored)(URL, "image")


def test_at_first_only_the_public_internet_is_open() -> None:
    assert fetch(wire := Wire()) == b"a picture"
    assert wire.asked == [(URL, True, "")]


def test_the_options_say_where_to_and_as_whom() -> None:
    fetch(wire := Wire(), api_forbid_local_requests=False, api_useragent="me/1")
    assert wire.asked == [(URL, False, "me/1")]


def test_the_options_may_forbid_it() -> None:
    with pytest.raises(RequestsNotAllowed, match=r"^Requests not allowed$"):
        fetch(wire := Wire(), api_enable_requests=False)
    assert wire.asked == []


def test_what_cannot_be_had_is_the_fields_fault() -> None:
    with pytest.raises(InvalidRequest) as refused:
        fetch(Wire(DownloadFailed("answered 404")))
    assert (refused.value.field, refused.value.message) == (
        "image",
        "Invalid image url: answered 404",
    )


@pytest.mark.parametrize("error", [LocalResource(), TooManyDownloads(5)])
def test_other_refusals_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)):
        fetch(Wire(error))


def test_one_party_leaves_downloads_to_others() -> None:
    """Each may take half a minute."""
    room = WaitingRoom("a picture to be fetched", waiting=3)
    fetch = FetchPicture(wire := Wire(), MemoryOptions(), room)
    with room.place("ann"), room.place("ann"), room.place("ann"):
        with pytest.raises(ShareTaken, match="ann has 3 requests waiting for a picture"):
            fetch(URL, "image", "ann")
        assert wire.asked == []
        assert fetch(URL, "image", "bob") == b"a picture"
    assert fetch(URL, "image", "ann") == b"a picture"
