"""Who is asked before a body is read, and how much of it is: docs/adr/0022."""

import json
import socket

import pytest

from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.access.hosts import Hosts
from hexfusion.adapters.http.access.rate_limit import Rate, RateLimit
from hexfusion.adapters.http.access.roles import Admins
from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.middleware import SMALL_BODY
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from tests.adapters.http.serving.sockets import (
    PATIENCE,
    channels,
    connected,
    head,
    reply,
    rest,
    running,
    status,
    wait_for,
)

PATH = "/sdapi/v1/txt2img"
LONG = 900_000  # within the server's limit
GUARD = Accounts({"user": "pass"})


def guarded(house, rate: RateLimit | None = None):
    return create_app(house.services(), gate=Gate(GUARD, rate), hosts=Hosts())


#: method, path, length, headers, answer
REFUSED = {
    "a stranger": ("POST", PATH, LONG, (), 401),
    "a stranger, over the limit": ("POST", PATH, 2**40, (), 401),
    "wrong password": ("POST", PATH, LONG, ("Authorization: Basic dXNlcjpub3Bl",), 401),
    "nobody's path": ("POST", "/sdapi/v1/nope", LONG, (), 404),
    "nobody's path, over the limit": ("POST", "/nope", 2**40, (), 404),
    "an open path": ("GET", "/internal/ping", LONG, (), 413),
    "an open path by another method": ("POST", "/docs", LONG, (), 413),
    "over the limit": ("POST", PATH, 2**21, ("Authorization: Basic dXNlcjpwYXNz",), 413),
    "GET with a body": (
        "GET", "/sdapi/v1/samplers", LONG, ("Authorization: Basic dXNlcjpwYXNz",), 413,
    ),
    "a foreign page": (
        "POST", PATH, LONG, ("Authorization: Basic dXNlcjpwYXNz", "Origin: http://evil.test"), 403,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_answered_before_its_body_is_sent_and_keeps_nothing_of_it(house, name: str) -> None:
    method, path, length, lines, answer = REFUSED[name]
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head(method, path, length, *lines) + b"x" * 1000)
        got = reply(client)
        assert status(got) == answer
        assert b"Connection: close" in got
        sent = 1000
        while sent < 300_000:  # it goes on sending, and is listened to
            client.sendall(b"x" * 10_000)
            sent += 10_000
        assert [each.request for each in channels(server)] == [None]
        assert b"HTTP/1" not in rest(client)  # closed by the server, with no reset


@pytest.mark.parametrize(
    ("lines", "answer"), [((), 401), (("Host: evil.example",), 400), (("Host: localhost",), 400)]
)
def test_two_hosts_are_told_apart(house, lines, answer: int) -> None:
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head("POST", PATH, LONG, *lines))
        assert status(reply(client)) == answer


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET /internal/ping HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://evil.example/internal/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET http://localhost/internal/ping HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
        (b"GET http://localhost:1/internal/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET http://a@localhost/internal/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http:///internal/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http://[::1/internal/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /internal/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /internal/ping HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /internal/ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /internal/ping HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /internal/ping HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_the_host_on_the_wire(house, request_: bytes, answer: int) -> None:
    """RFC 9112, 3.2: a target with a host replaces that of the header."""
    app = create_app(house.services(), hosts=Hosts())
    with running(app) as server, connected(server) as client:
        client.sendall(request_)
        got = reply(client)
        assert status(got) == answer
        assert b"application/json" in got


def test_the_host_that_a_trusted_proxy_tells(house) -> None:
    app = create_app(house.services(), hosts=Hosts(proxied=True))
    request = head("GET", "/internal/ping", None, "X-Forwarded-Host: sd.example")
    for proxy, named, answer in (
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "inside", 200),
        ("10.0.0.1", "inside", 421),
        ("", "inside", 421),
    ):
        with running(app, trusted_proxy=proxy) as server, connected(server) as client:
            client.sendall(request.replace(b"localhost", named.encode()))
            assert status(reply(client)) == answer


def test_a_small_body_of_a_refused_request_is_read_and_the_connection_goes_on(house) -> None:
    with running(guarded(house)) as server, connected(server) as client:
        for _ in range(3):
            client.sendall(head("POST", PATH, SMALL_BODY) + b"x" * SMALL_BODY)
            got = reply(client)
            assert status(got) == 401
            assert b"Connection: close" not in got


def test_a_chunked_body_is_cut_off_where_the_bound_is(house) -> None:
    """Its length is not told before."""
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head("POST", PATH, None, "Transfer-Encoding: chunked"))
        client.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        client.sendall(b"8000\r\n" + b"x" * 0x1000)
        assert status(reply(client)) == 401


@pytest.mark.parametrize("tail", [b"1;" + b"x" * 70_000, b"0\r\n" + b"X: y\r\n" * 9000])
def test_what_is_around_chunks_is_bounded_too(house, tail: bytes) -> None:
    """Waitress keeps lines between chunks, and what follows the last, at any length."""
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(head("POST", PATH, None, "Transfer-Encoding: chunked") + tail)
        assert status(reply(client)) == 400


def test_a_body_of_tiny_chunks_is_read(house) -> None:
    body = b"".join(b"1\r\n%c\r\n" % each for each in b'{"steps": 1' + b" " * 20_000 + b"}")
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(head("POST", PATH, None, "Transfer-Encoding: chunked") + body + b"0\r\n\r\n")
        assert status(reply(client)) == 200


def test_a_stranger_that_asks_first_is_not_invited(house) -> None:
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head("POST", PATH, LONG, "Expect: 100-continue"))
        assert status(reply(client)) == 401


def test_a_request_counts_once_and_before_its_body(house) -> None:
    """Else a client could begin any number of bodies at once."""
    rate = RateLimit(Rate(2, 3600), lambda: 0.0)
    app = create_app(house.services(), gate=Gate(rate=rate))
    with running(app) as server:
        parked = [connected(server) for _ in range(2)]
        for each in parked:
            each.sendall(head("POST", PATH, LONG))
        wait_for(lambda: [c.request is not None for c in channels(server)] == [True] * 2)
        with connected(server) as client:
            client.sendall(head("POST", PATH, LONG))
            assert status(reply(client)) == 429
        for each in parked:
            each.sendall(b'{"prompt": "' + b"x" * (LONG - 14) + b'"}')
            assert status(reply(each)) == 200
            each.close()


def test_what_a_refused_client_sends_is_no_next_request(house) -> None:
    """Its body may look like one."""
    hidden = head("POST", "/sdapi/v1/refresh-checkpoints", 0)
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head("POST", "/nope", LONG) + hidden * 100)
        client.sendall(hidden * 100)
        answer = rest(client)
    assert answer.count(b"HTTP/1.1") == 1
    assert house.heard == []


def test_a_refused_client_is_not_listened_to_for_ever(house) -> None:
    limits = ConnectionLimits(linger_bytes=2**20)
    with running(guarded(house), limits) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 2**40))
        with pytest.raises(OSError):
            for _ in range(1000):
                client.sendall(b"x" * 2**16)
    limits = ConnectionLimits(linger=0.5)
    with running(guarded(house), limits) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 2**40))
        wait_for(lambda: channels(server))
        wait_for(lambda: not channels(server))


def test_a_client_that_sends_all_before_it_reads_gets_its_answer(house) -> None:
    with running(guarded(house)) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 30_000_000))
        client.sendall(b"x" * 30_000_000)
        answer = rest(client)
    assert status(answer) == 401
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"] == "Not authenticated"


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"1e3", b"+5", b"5, 5"])
def test_a_length_that_is_none_is_told(house, length: bytes) -> None:
    """Python converts no number of 5000 digits: waitress did not expect that."""
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
        )
        assert status(reply(client)) == 400


def test_a_header_may_have_64_kib(house) -> None:
    with running(create_app(house.services())) as server:
        for size, answer in ((60_000, 200), (70_000, 431)):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
                client.sendall(head("GET", "/internal/ping", None, "X: " + "y" * size))
                assert status(reply(client)) == answer


def test_who_is_no_administrator_is_told_before_the_body(house) -> None:
    admins = Admins({"root"}, [("/sdapi/v1/options", "POST")])
    app = create_app(house.services(), gate=Gate(GUARD, admins=admins))
    with running(app) as server, connected(server) as client:
        login = "Authorization: Basic dXNlcjpwYXNz"
        client.sendall(head("POST", "/sdapi/v1/options", LONG, login))
        assert status(reply(client)) == 403
