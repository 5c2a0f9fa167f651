"""The in-memory twin of the downloader keeps the port's promises."""

import threading

import pytest

from hexfusion.adapters.http.downloads.downloader import DownloadLimits
from hexfusion.adapters.http.downloads.downloads_memory import (
    Answer,
    FakeInternet,
    MemoryDownload,
    MovedPage,
)
from hexfusion.application.ports.download import LocalResource
from tests.contracts.download import AT_ONCE, MOST, DownloadContract


class Paper:
    """The contract's world, in a dictionary."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        names = {"a.test": ["93.184.215.14"], "b.test": ["8.8.8.8"], "inside.test": ["10.0.0.1"]}
        self.net = FakeInternet(self.pages, names)

    def put(self, path: str, body: bytes) -> None:
        self._answer(path, body)

    def move(self, path: str, location: str) -> None:
        self._answer(path, MovedPage(location))

    def delay(self, path: str, until: threading.Event) -> None:
        def wait() -> bytes:
            until.wait(10)
            return b"late"

        self._answer(path, wait)

    def heard(self) -> list[str]:
        return self.net.heard

    def _answer(self, path: str, answer: Answer) -> None:
        for host in (*self.net.names, "10.0.0.1"):
            self.pages[host + path] = answer


class TestMemoryDownload(DownloadContract):
    @pytest.fixture
    def net(self) -> Paper:
        return Paper()

    @pytest.fixture
    def download(self, net: Paper) -> MemoryDownload:
        return MemoryDownload(net.net, DownloadLimits(bytes=MOST, at_once=AT_ONCE))


def test_all_addresses_of_a_name_must_be_public():
    net = FakeInternet({"mixed.test/": b"x"}, {"mixed.test": ["8.8.8.8", "10.0.0.1"]})
    with pytest.raises(LocalResource):
        MemoryDownload(net)("http://mixed.test/", public_only=True, user_agent="")
