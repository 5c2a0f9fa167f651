"""What every downloader must do. Subclass it where the implementation's tests are.

Source: spec api.md 7.1, and what `hexfusion.application.ports.download` promises beyond it.
"""

import threading
from collections.abc import Callable
from typing import Protocol

import pytest

from hexfusion.application.ports.download import (
    Download,
    DownloadFailed,
    LocalResource,
    TooManyDownloads,
)

#: What a download may have, bytes, and how many may be under way.
MOST, AT_ONCE = 100_000, 2


class World(Protocol):
    """An internet, seen from a test: a.test and b.test are public, inside.test is not.

    Paths hold for all of them; what was not put is answered 404.
    """

    def put(self, path: str, body: bytes) -> None: ...
    def move(self, path: str, location: str) -> None: ...
    def delay(self, path: str, until: threading.Event) -> None: ...
    def heard(self) -> list[str]:
        """The user agents of the requests that were made."""
        ...


class DownloadContract:
    """Subclasses give the fixtures `net`, a `World`, and `download`, one that takes `MOST` bytes
    and does `AT_ONCE`."""

    @pytest.fixture
    def get(self, download: Download) -> Callable[..., bytes]:
        def get(url: str, *, public_only: bool = True, user_agent: str = "") -> bytes:
            return download(url, public_only=public_only, user_agent=user_agent)

        return get

    @pytest.mark.parametrize("body", [b"", b"\0\xff\r\n\r\n", b"x" * MOST])
    def test_bytes_come_as_they_are(self, net: World, get, body):
        net.put("/x?y=1", body)
        assert get("http://a.test/x?y=1#part") == body

    def test_what_is_larger_is_refused(self, net: World, get):
        net.put("/x", b"x" * (MOST + 1))
        with pytest.raises(DownloadFailed, match=str(MOST)):
            get("http://a.test/x")

    def test_it_says_who_asks(self, net: World, get):
        net.put("/x", b"x")
        get("http://a.test/x", user_agent="me/1")
        get("http://a.test/x")
        given, ours = net.heard()
        assert given == "me/1" and ours not in ("", "me/1")

    def test_what_is_not_there_is_told(self, get):
        with pytest.raises(DownloadFailed, match="404"):
            get("http://a.test/nowhere")

    def test_redirects_are_followed_but_not_for_ever(self, net: World, get):
        net.put("/there", b"picture")
        net.move("/here", "http://b.test/near")
        net.move("/near", "there")
        net.move("/round", "/round")
        assert get("http://a.test/here") == b"picture"
        with pytest.raises(DownloadFailed, match="too often"):
            get("http://a.test/round")

    @pytest.mark.parametrize(
        "url",
        ["http://inside.test/x", "http://127.0.0.1/x", "http://[::1]/x", "http://a.test:8080/x",
         "http://unknown.test/x"],
    )  # fmt: skip
    def test_only_the_public_internet_is_asked_where_that_is_so(self, net: World, get, url):
        """That a name is unknown is told to nobody either."""
        net.put("/x", b"secret")
        net.move("/away", url)
        with pytest.raises(LocalResource):
            get(url)
        assert net.heard() == []
        with pytest.raises(LocalResource):
            get("http://a.test/away")
        assert len(net.heard()) == 1

    @pytest.mark.parametrize("url", ["http://inside.test/x", "http://10.0.0.1:8080/x"])
    def test_all_is_asked_where_that_is_allowed(self, net: World, get, url):
        net.put("/x", b"picture")
        assert get(url, public_only=False) == b"picture"
        with pytest.raises(DownloadFailed):
            get("http://unknown.test/x", public_only=False)

    @pytest.mark.parametrize(
        "url", ["", "a.test/x", "ftp://a.test/x", "file:///etc/passwd", "http://me@a.test/x"]
    )
    @pytest.mark.parametrize("public_only", [True, False])
    def test_other_addresses_are_none(self, net: World, get, url, public_only):
        net.put("/x", b"x")
        with pytest.raises(DownloadFailed):
            get(url, public_only=public_only)
        assert net.heard() == []

    def test_one_more_than_may_be_is_told_to_come_again(self, net: World, get):
        go, got = threading.Event(), []
        net.delay("/slow", go)
        threads = [
            threading.Thread(target=lambda: got.append(get("http://a.test/slow")))
            for _ in range(AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        while len(net.heard()) < AT_ONCE:
            threading.Event().wait(0.005)
        with pytest.raises(TooManyDownloads) as refused:
            get("http://a.test/slow")
        go.set()
        for thread in threads:
            thread.join(10)
        assert refused.value.retry_after >= 1
        assert len({*got}) == 1 and len(got) == AT_ONCE

    def test_whoever_fails_gives_the_place_back(self, net: World, get):
        net.put("/x", b"picture")
        for _ in range(AT_ONCE + 1):
            for url in ("http://a.test/nowhere", "http://inside.test/", "ftp://a.test/"):
                with pytest.raises((DownloadFailed, LocalResource)):
                    get(url)
        assert get("http://a.test/x") == b"picture"
