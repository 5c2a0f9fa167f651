"""Downloads for clients: what is reached, and above all what is not. Spec api.md 7.1.

No test leaves the machine: the name server and the wire are stand-ins, behind which real servers
of this process answer.
"""

import http.server
import ipaddress
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from hexfusion.adapters.http.downloads.downloader import (
    Downloader,
    DownloadLimits,
    Target,
    parse_target,
    resolve,
)
from hexfusion.adapters.http.downloads.public_addresses import Address
from hexfusion.application.ports.download import DownloadFailed, LocalResource, TooManyDownloads
from tests.contracts.download import AT_ONCE, MOST, DownloadContract

PUBLIC = "93.184.215.14"
Handler = http.server.BaseHTTPRequestHandler
Reply = Callable[[Handler], None]


class Quiet(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the game."""


class Web:
    """An internet of one server. `names` are its name server's answers, one after another."""

    def __init__(self) -> None:
        self.names: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.replies: dict[str, Reply] = {}
        web = self

        class Answers(Handler):
            def do_GET(self) -> None:
                web.requests.append((self.path, dict(self.headers)))
                web.replies.get(self.path, picture)(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def resolve(self, host: str) -> list[Address]:
        self.asked.append(host)
        answers = self.names.get(host)
        if not answers:
            raise socket.gaierror("no such name")
        return [ipaddress.ip_address(each) for each in answers.pop(0)]

    def connect(self, address: Address, port: int, seconds: float) -> socket.socket:
        self.connected.append((str(address), port))
        return socket.create_connection(self.server.server_address[:2], timeout=seconds)

    def downloader(self, **limits: float) -> Downloader:
        return Downloader(
            limits=DownloadLimits(**limits), resolve=self.resolve, connect=self.connect
        )

    def get(self, url: str, *, public_only: bool = True, user_agent: str = "", **limits) -> bytes:
        return self.downloader(**limits)(url, public_only=public_only, user_agent=user_agent)


def picture(handler: Handler) -> None:
    send(handler, b"a picture")


def send(handler: Handler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content_length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


OK = b"HTTP/1.1 200 OK\r\n"


def redirect(location: str, status: int = 302) -> Reply:
    return lambda handler: send(handler, b"", status, Location=location)


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    web.names = {"a.test": [[PUBLIC]] * 9, "b.test": [["8.8.8.8", "2606:4700::1"]] * 9}
    yield web
    web.server.shutdown()
    web.server.server_close()


class Wire:
    """The contract's world: a web of one server, which answers for all names."""

    def __init__(self, web: Web) -> None:
        self.web = web
        web.names["inside.test"] = [["10.0.0.1"]] * 9
        web.names["a.test"] = web.names["a.test"] * 9
        web.replies = _Otherwise(lambda handler: send(handler, b"", 404))

    def put(self, path: str, body: bytes) -> None:
        self.web.replies[path] = lambda handler: send(handler, body)

    def move(self, path: str, location: str) -> None:
        self.web.replies[path] = redirect(location)

    def delay(self, path: str, until: threading.Event) -> None:
        def late(handler: Handler) -> None:
            until.wait(10)
            send(handler, b"late")

        self.web.replies[path] = late

    def heard(self) -> list[str]:
        return [headers["User-Agent"] for _, headers in self.web.requests]


class _Otherwise(dict[str, Reply]):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def get(self, path: str, default: object = None) -> Reply:
        return super().get(path, self._reply)


class TestDownloader(DownloadContract):
    @pytest.fixture
    def net(self, web: Web) -> Wire:
        return Wire(web)

    @pytest.fixture
    def download(self, net: Wire) -> Downloader:
        return net.web.downloader(bytes=MOST, at_once=AT_ONCE)


def test_a_file_of_the_internet(web: Web) -> None:
    assert web.get("http://a.test/x%20y/ü.png?q=1&r=ä#part") == b"a picture"
    assert web.connected == [(PUBLIC, 80)]
    ((path, headers),) = web.requests
    assert path == "/x%20y/%C3%BC.png?q=1&r=%C3%A4"
    assert headers["Host"] == "a.test"
    assert headers["User-Agent"] == "hexfusion"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Authorization", "Cookie", "Referer"} & headers.keys()


def test_a_fragment_is_no_host(web: Web) -> None:
    assert web.get("http://a.test#@127.0.0.1:1/x") == b"a picture"
    assert web.connected == [(PUBLIC, 80)]


def test_says_who_it_is_as_the_option_wants(web: Web) -> None:
    web.get("http://a.test/", user_agent="me/1")
    assert web.requests[0][1]["User-Agent"] == "me/1"
    with pytest.raises(DownloadFailed):
        web.get("http://a.test/", user_agent="me\r\nX-Evil: 1")
    assert len(web.requests) == 1


def test_the_name_is_asked_for_once_and_what_was_checked_is_connected_to(web: Web) -> None:
    """DNS rebinding: public when it is checked, private when it would be used."""
    web.names["rebind.test"] = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    assert web.get("http://rebind.test/") == b"a picture"
    assert web.asked == ["rebind.test"]
    assert web.connected == [(PUBLIC, 80)]
    with pytest.raises(LocalResource):
        web.get("http://rebind.test/")
    assert len(web.connected) == 1


#: Hosts inside, in every disguise. What a name of `names` leads to is in the fixture below.
HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0x7f.1", "017700000001", "0177.0.0.1", "0177.0.0.01", "127.0.0.1.", "127.0.0.01", "1.1.1.1.1",
    "256.256.256.256", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "224.0.0.1", "255.255.255.255", "192.0.2.1",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:169.254.169.254]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[fc00::1]",
    "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b:1::1]", "[::1", "::1", "[::1]x", "[127.0.0.1]",
    "localhost", "LOCALHOST", "localhost.", "localhost..", "inside.test", "INSIDE.test", "six.test",
    "mapped.test", "mixed.test", "mixed2.test", "multicast.test", "nothing.test", "unknown.test",
    "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "localhost\u3002",
    "\u2488\u2488", "local\u00adhost", "%6cocalhost", "127.0.0.1%00.a.test",
    "a.test%2f@inside.test", "a.test@127.0.0.1", "a.test:80@127.0.0.1", "user:pass@a.test",
    "@a.test", "127.0.0.1\\@a.test",
    "a.test\\@127.0.0.1", "a.test\\.inside.test", "a.test\t", "a\n.test", "a.te st", "a.test\0",
    "a.test\x7f", "", ".", "..", ".a.test", "a..test", "a" * 64 + ".test", "a." * 130 + "test",
    "a.test:0", "a.test:22", "a.test:8080", "a.test:443", "a.test:65536", "a.test:-1", "a.test:x",
    "a.test:٣", "a.test:80:80", "a.test,inside.test", "a.test;inside.test", "*", "a.test'", "<a>",
    "xn--", "\ud800.test", "a!test",
]  # fmt: skip

ADDRESSES = [
    "file:///etc/passwd", "file://a.test/etc/passwd", "gopher://a.test/_GET", "ftp://a.test/x",
    "data:image/png;base64,AAAA", "javascript:alert(1)", "//a.test/x", "a.test/x", "", "http:",
    "http://", "http:a.test", "http:/a.test", "http:\\\\a.test/x", "https:a.test/x",
    "HTTPS://127.0.0.1/x", " http://a.test/", "ht\ntp://a.test/", "http://a.test/\r\nX: y",
    "http://a.test/ HTTP/1.1", "http+unix://%2fvar%2frun%2fdocker.sock/", "dict://a.test:11211/",
    "http://a.test/" + "x" * 10_000, "jar:http://a.test!/", "unix:/run/x.sock", "http://[v1.x]/",
    "ws://a.test/", "ldap://a.test/", "tftp://a.test/", "http//a.test", "httpx://a.test/",
]  # fmt: skip

HOSTILE = [*(f"http://{host}/x" for host in HOSTS), *ADDRESSES]


@pytest.fixture
def inside(web: Web) -> Web:
    names = {
        "localhost": ["127.0.0.1", "::1"],
        "inside.test": ["10.0.0.1"],
        "six.test": ["fd00::1"],
        "mapped.test": ["::ffff:127.0.0.1"],
        "mixed.test": [PUBLIC, "127.0.0.1"],
        "mixed2.test": ["::1", PUBLIC],
        "multicast.test": ["224.0.0.1"],
        "nothing.test": [],
    }
    web.names |= {name: [answer] * 9 for name, answer in names.items()}
    return web


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: ascii(url)[:60])
def test_nothing_inside_is_reached(inside: Web, url: str) -> None:
    with pytest.raises((LocalResource, DownloadFailed)):
        inside.get(url)
    assert inside.connected == []


@pytest.mark.parametrize(
    "url",
    [url for url in HOSTILE if url.isascii() and url.isprintable()],  # headers carry no others
    ids=lambda url: ascii(url)[:60],
)
def test_nor_by_a_redirect(inside: Web, url: str) -> None:
    """What is no whole address is one on the same server."""
    inside.replies = {"/start": redirect(url)}
    with suppress(LocalResource, DownloadFailed):
        inside.get("http://a.test/start")
    assert set(inside.connected) == {(PUBLIC, 80)}
    assert {headers["Host"] for _, headers in inside.requests} == {"a.test"}


def test_there_are_many_hostile_addresses() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) > 120


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_internet_are_followed(web: Web, status: int) -> None:
    web.replies = {"/one": redirect("//b.test/two", status), "/two": redirect("three")}
    assert web.get("http://a.test/one") == b"a picture"
    assert [path for path, _ in web.requests] == ["/one", "/two", "/three"]
    assert web.connected == [(PUBLIC, 80), ("8.8.8.8", 80), ("8.8.8.8", 80)]
    assert web.asked == ["a.test", "b.test", "b.test"]


def test_three_redirects_and_no_more(web: Web) -> None:
    hops = [redirect(f"/{number}") for number in range(1, 5)]
    web.replies = {f"/{number}": hop for number, hop in enumerate(hops)}
    assert web.get("http://a.test/1") == b"a picture"
    with pytest.raises(DownloadFailed, match="redirected too often"):
        web.get("http://a.test/0")


def test_a_redirect_to_nowhere(web: Web) -> None:
    web.replies = {"/": lambda handler: send(handler, b"", 302)}
    with pytest.raises(DownloadFailed, match="answered 302"):
        web.get("http://a.test/")


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "http://10.0.0.1:8188/x", "http://[::1]/x"])
def test_the_inside_can_be_allowed(web: Web, url: str) -> None:
    """Option api_forbid_local_requests off."""
    assert web.get(url, public_only=False) == b"a picture"
    assert web.requests[0][1]["Host"] == url.split("/")[2]


def test_what_is_ambiguous_stays_refused(web: Web) -> None:
    for url in ("http://a.test@127.0.0.1/", "http://a.test\\@127.0.0.1/", "file:///etc/passwd"):
        with pytest.raises(DownloadFailed, match=r"no valid address|not http"):
            web.get(url, public_only=False)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "134744072", "0x08080808", "0x8.8", "8.8", "8.8.2056", "010.8.8.8", "08.8.8.8",
     "8.8.8.8.8", "a.test.1", "a.0x7f", "a.0x", "256.1.1.1", "0x7f.1."],
)  # fmt: skip
def test_a_number_is_no_name(host: str) -> None:
    """To some programs it is an address. Even a public one would do by luck alone."""
    with pytest.raises(DownloadFailed, match="no valid address"):
        parse_target(f"http://{host}/")


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large(web: Web, chunked: bool) -> None:
    """Told so by its length, or found out on the way: never more than the cap is read."""

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    web.replies = {"/": endless if chunked else lambda handler: send(handler, b"x" * 100_001)}
    with pytest.raises(DownloadFailed, match="larger than 100000 bytes"):
        web.get("http://a.test/", bytes=100_000)
    web.replies = {"/": lambda handler: send(handler, b"x" * 100_000)}
    assert len(web.get("http://a.test/", bytes=100_000)) == 100_000


def test_without_a_length(web: Web) -> None:
    def until_closed(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 99_999)

    web.replies = {"/": until_closed}
    assert len(web.get("http://a.test/", bytes=100_000)) == 99_999
    with pytest.raises(DownloadFailed, match="larger than"):
        web.get("http://a.test/", bytes=50_000)


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(50):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def drip_header(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(50):
        handler.wfile.write(b"X: y\r\n")
        time.sleep(0.05)


def say_nothing(handler: Handler) -> None:
    time.sleep(2)


@pytest.mark.parametrize("slow", [drip_body, drip_header, say_nothing])
def test_too_slow(web: Web, slow: Reply) -> None:
    """A byte now and then does not begin the wait anew."""
    web.replies = {"/": slow}
    started = time.monotonic()
    with pytest.raises(DownloadFailed, match=r"took longer than 0\.4 s"):
        web.get("http://a.test/", seconds=0.4)
    assert time.monotonic() - started < 1.5


def test_redirects_share_the_time(web: Web) -> None:
    def late(handler: Handler) -> None:
        time.sleep(0.3)
        redirect("/")(handler)

    web.replies = {"/": late}
    with pytest.raises(DownloadFailed, match="took longer"):
        web.get("http://a.test/", seconds=0.7)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (lambda handler: send(handler, b"", 404), "answered 404"),
        (lambda handler: send(handler, b"", 401), "answered 401"),
        (lambda handler: send(handler, b"x", content_length="2"), "broke off"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "no answer that"),
        (lambda handler: handler.connection.close(), "no answer that"),
        (lambda handler: handler.wfile.write(OK + b"X: " + b"y" * 70_000), "no answer that"),
        (lambda handler: handler.wfile.write(OK + b"X: y\r\n" * 200), "no answer that"),
    ],
)  # fmt: skip
def test_no_file(web: Web, reply: Reply, message: str) -> None:
    web.replies = {"/": reply}
    with pytest.raises(DownloadFailed, match=message):
        web.get("http://a.test/")


def test_another_address_is_tried_where_one_does_not_answer(web: Web) -> None:
    def connect(address: Address, port: int, seconds: float) -> socket.socket:
        if address.version == 4:
            raise ConnectionRefusedError
        return web.connect(address, port, seconds)

    download = Downloader(resolve=web.resolve, connect=connect)
    assert download("http://b.test/", public_only=True, user_agent="") == b"a picture"
    assert web.connected == [("2606:4700::1", 80)]
    with pytest.raises(DownloadFailed):
        download("http://a.test/", public_only=True, user_agent="")


def test_few_at_once_and_the_others_are_told_to_come_again(web: Web) -> None:
    go = threading.Event()

    def wait(handler: Handler) -> None:
        go.wait(10)
        picture(handler)

    web.replies = {"/": wait}
    download = web.downloader(at_once=2)
    got: list[bytes] = []

    def get() -> None:
        got.append(download("http://a.test/", public_only=True, user_agent=""))

    threads = [threading.Thread(target=get) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(web.requests) < 2:
        time.sleep(0.01)
    with pytest.raises(TooManyDownloads):
        download("http://a.test/", public_only=True, user_agent="")
    go.set()
    for thread in threads:
        thread.join(10)
    assert got == [b"a picture"] * 2
    get()
    with pytest.raises(LocalResource):
        download("http://127.0.0.1/", public_only=True, user_agent="")
    get()  # failures give their place back


def test_certificates_are_checked_for_the_name_and_not_the_address(
    web: Web, tmp_path: Path
) -> None:
    trustme = pytest.importorskip("trustme")
    authority, seen = trustme.CA(), []
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("a.test").configure_cert(served)
    served.sni_callback = lambda _socket, name, _context: seen.append(name)
    web.server.socket = served.wrap_socket(web.server.socket, server_side=True)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    download = Downloader(resolve=web.resolve, connect=web.connect, trust=lambda: trusting)
    assert download("https://a.test./x", public_only=True, user_agent="") == b"a picture"
    assert (web.connected, seen) == ([(PUBLIC, 443)], ["a.test"])
    with pytest.raises(DownloadFailed, match="certificate"):
        download("https://b.test/x", public_only=True, user_agent="")
    with pytest.raises(DownloadFailed, match="certificate"):
        web.get("https://a.test/x")  # nobody of the system's authorities vouches for it
    assert len(web.requests) == 1


def test_with_the_systems_own_name_server_and_wire(web: Web) -> None:
    assert "127.0.0.1" in map(str, resolve("localhost"))
    download, port = Downloader(), web.server.server_address[1]
    url = f"http://localhost:{port}/x"
    assert download(url, public_only=False, user_agent="") == b"a picture"
    for address in (url, "http://localhost/", "http://127.0.0.1/"):
        with pytest.raises(LocalResource):
            download(address, public_only=True, user_agent="")
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://A.Test", Target("http", "a.test", 80, "/")),
        ("https://a.test.:443/x?y", Target("https", "a.test", 443, "/x?y")),
        ("http://bücher.test/", Target("http", "xn--bcher-kva.test", 80, "/")),
        ("http://[2606:4700::1]:8080/", Target("http", "2606:4700::1", 8080, "/")),
        ("http://1.1.1.1./", Target("http", "1.1.1.1", 80, "/")),
        ("http://a_b.test/", Target("http", "a_b.test", 80, "/")),
    ],
)
def test_takes_an_address_apart(url: str, target: Target) -> None:
    assert parse_target(url) == target
    assert target.authority == {8080: "[2606:4700::1]:8080"}.get(target.port, target.host)
