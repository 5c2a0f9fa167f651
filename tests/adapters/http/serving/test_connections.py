"""How many connections there may be, and how long each may take for what: docs/adr/0022."""

import errno
import json
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.serving import descriptors
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.listener import Listener
from hexfusion.adapters.http.serving.quiet_log import QuietLog
from tests.adapters.http.serving.sockets import (
    channels,
    connected,
    head,
    reply,
    rest,
    running,
    status,
    wait_for,
)

pytestmark = pytest.mark.waits

PATH = "/sdapi/v1/txt2img"
QUICK = ConnectionLimits(header_timeout=1, body_timeout=30, stall_timeout=1, least_rate=1000)


def served(server, source: str = "127.0.0.1") -> bool:
    with connected(server, source) as client:
        client.sendall(head("GET", "/internal/ping"))
        return status(reply(client)) == 200


def test_a_header_that_does_not_end_is_408(house) -> None:
    with running(create_app(house.services()), QUICK) as server, connected(server) as client:
        client.sendall(b"GET /internal/ping HTTP/1.1\r\nHost: localhost\r\n")
        answer = rest(client)
        assert status(answer) == 408
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].startswith("the request")


def test_a_header_that_comes_byte_by_byte_is_408(house) -> None:
    """Each byte shows that somebody is there: the time for idle connections never passes."""
    with running(create_app(house.services()), QUICK) as server, connected(server) as client:
        client.settimeout(0.05)
        answer = b""
        for byte in b"GET /internal/ping HTTP/1.1\r\nX: " + b"x" * 400:
            try:
                client.sendall(bytes([byte]))
                answer += client.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if answer:
                break
        assert status(answer) == 408


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
def test_a_connection_without_a_request_is_closed(house, sent: bytes) -> None:
    with running(create_app(house.services()), QUICK) as server, connected(server) as client:
        client.sendall(sent)
        assert rest(client) == b""


def test_blank_lines_keep_no_connection(house) -> None:
    with (
        running(create_app(house.services()), QUICK) as server,
        connected(server) as client,
        pytest.raises(OSError),
    ):
        for _ in range(400):
            client.sendall(b"\r\n")
            time.sleep(0.05)


def test_a_body_that_does_not_get_on_is_408(house) -> None:
    with running(create_app(house.services()), QUICK) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 100_000) + b"{")
        assert status(rest(client)) == 408


def test_a_body_that_gets_on_but_does_not_end_is_408(house) -> None:
    limits = ConnectionLimits(body_timeout=1, stall_timeout=30, linger=1)
    with running(create_app(house.services()), limits) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 1_000_000))
        sender = threading.Thread(target=drip, args=(client,))
        sender.start()
        assert status(rest(client)) == 408
        sender.join()


def drip(client: socket.socket) -> None:
    try:
        for _ in range(200):
            client.sendall(b" " * 2000)
            time.sleep(0.05)
    except OSError:
        pass


def test_a_job_may_take_longer_than_any_of_these(house) -> None:
    house.on_txt2img = lambda request, abandoned: time.sleep(3)
    with running(create_app(house.services()), QUICK) as server, connected(server) as client:
        client.sendall(head("POST", PATH, 2) + b"{}")
        assert status(reply(client)) == 200


def test_a_connection_may_wait_for_its_next_request_as_long_as_told(house) -> None:
    limits = ConnectionLimits(header_timeout=1, keep_alive=3)
    with running(create_app(house.services()), limits) as server, connected(server) as client:
        for _ in range(2):
            client.sendall(head("GET", "/internal/ping"))
            assert status(reply(client)) == 200
            time.sleep(2)
        assert rest(client) == b""


class Endless:
    """A reply without end, as events are; `ended` once its thread is free again."""

    def __init__(self, piece: int) -> None:
        self.piece = bytes(piece)
        self.ended = threading.Event()

    def __call__(self, environ, start_response) -> Iterator[bytes]:
        start_response("200 OK", [])
        return self._pieces(environ["waitress.client_disconnected"])

    def _pieces(self, gone: Callable[[], bool]) -> Iterator[bytes]:
        try:
            while not gone():
                yield self.piece
                if len(self.piece) < 2**16:
                    time.sleep(0.005)
        finally:
            self.ended.set()


@pytest.mark.parametrize("piece", [20_000, 2**20])
def test_who_takes_no_reply_frees_its_thread(piece: int) -> None:
    app = Endless(piece)
    with running(app, QUICK) as server, connected(server) as client:
        client.sendall(head("GET", "/"))
        assert app.ended.wait(20)
        wait_for(lambda: not channels(server))


def test_events_that_only_the_kernel_holds_are_seen_as_not_taken() -> None:
    """The server has written them all: none waits in its own buffers."""
    app = Endless(2000)
    limits = ConnectionLimits(stall_timeout=2)
    with running(app, limits) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head("GET", "/"))
        pending = []

        def ended() -> bool:
            pending.extend(each.total_outbufs_len for each in channels(server))
            return app.ended.is_set()

        wait_for(ended)
    assert max(pending) < 2**16


def test_a_reply_left_unread_is_dropped() -> None:
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(2**26))])
        return [bytes(2**26)]

    with running(app, QUICK) as server, connected(server) as client:
        client.sendall(head("GET", "/"))
        wait_for(lambda: any(each.total_outbufs_len for each in channels(server)))
        wait_for(lambda: not channels(server))


def test_a_reply_that_is_read_slowly_arrives() -> None:
    size = 2**24

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(size))])
        return [bytes(size)]

    with running(app, QUICK) as server, connected(server) as client:
        client.sendall(head("GET", "/"))
        got = 0
        while piece := client.recv(2**19):
            got += len(piece)
            if got >= size:
                break
            time.sleep(0.1)
        assert got >= size


@pytest.mark.parametrize("opening", [b"", b"GET / HTTP/1.1\r\n", head("POST", PATH, 2**19)])
def test_an_honest_client_is_served_although_others_fill_the_server(house, opening) -> None:
    limits = ConnectionLimits(connections=30, connections_per_address=20)
    with running(create_app(house.services()), limits) as server, ExitStack() as stack:
        for number in range(80):
            source = f"127.0.0.{2 + number % 4}"
            stack.enter_context(connected(server, source)).sendall(opening)
        for source in ("127.0.0.9", "127.0.0.2"):
            assert served(server, source)
        wait_for(lambda: len(channels(server)) <= 30)


def test_connections_of_one_address_are_bounded(house, caplog) -> None:
    """The one that has been without a request for longest makes room."""
    limits = ConnectionLimits(connections_per_address=5)
    with running(create_app(house.services()), limits) as server, ExitStack() as stack:
        clients = [stack.enter_context(connected(server, "127.0.0.2")) for _ in range(5)]
        other = stack.enter_context(connected(server, "127.0.0.3"))
        wait_for(lambda: len(channels(server)) == 6)
        stack.enter_context(connected(server, "127.0.0.2"))
        assert rest(clients[0]) == b""
        assert len(channels(server)) == 6
        for client in (clients[1], other):
            client.sendall(head("GET", "/internal/ping"))
            assert status(reply(client)) == 200
    assert "to make room" in caplog.text


def test_none_with_a_request_makes_room_and_the_new_one_is_told(house) -> None:
    go = threading.Event()
    house.on_txt2img = lambda request, abandoned: go.wait(20)
    limits = ConnectionLimits(connections=3, connections_per_address=2)
    with running(create_app(house.services()), limits) as server, ExitStack() as stack:
        stack.callback(go.set)
        for number, flag in ((2, "--connections-per-address"), (3, "--connections")):
            while len(channels(server)) < number:
                client = stack.enter_context(connected(server, f"127.0.0.{number}"))
                client.sendall(head("POST", PATH, 2) + b"{}")
                wait_for(lambda: all(each.requests for each in channels(server)))
            with connected(server, f"127.0.0.{number}") as late:
                answer = rest(late)
                assert status(answer) == 503
                assert flag in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
            if number == 2:
                client = stack.enter_context(connected(server, "127.0.0.3"))
                client.sendall(head("POST", PATH, 2) + b"{}")
                wait_for(lambda: sum(bool(each.requests) for each in channels(server)) == 3)


def test_a_trusted_proxy_may_have_all_connections(house) -> None:
    limits = ConnectionLimits(connections_per_address=2)
    app = create_app(house.services())
    with running(app, limits, trusted_proxy="127.0.0.1") as server, ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(connected(server))
        wait_for(lambda: len(channels(server)) == 6)


def test_accept_that_fails_is_told_once_and_tried_again(house, monkeypatch, caplog) -> None:
    """Waitress tries at once, again and again, and logs each."""
    tries = []
    accept = Listener.accept

    def fail(self: Listener) -> object:
        tries.append(1)
        if len(tries) < 4:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    monkeypatch.setattr(Listener, "accept", fail)
    with running(create_app(house.services())) as server:
        before = time.monotonic()
        assert served(server)
        assert time.monotonic() - before > 1  # three times it paused
    assert len(tries) == 4
    assert caplog.text.count("Too many open files") == 1


def test_there_are_no_more_connections_than_descriptors(monkeypatch) -> None:
    monkeypatch.setattr(descriptors, "_in_use", lambda: 10)
    cases = [(64, False, 15), (64, True, 7), (1024, False, 495), (8192, False, 1000), (9, True, 4)]
    for limit, tls, room in cases:
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert descriptors.connections_for(1000, tls=tls) == room


def test_the_log_says_each_thing_once_a_minute(caplog) -> None:
    now = [0.0]
    log = QuietLog(logging.getLogger("hexfusion.test"), lambda: now[0])
    for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
        log.warning("closed %s", "a")
        log.warning("refused %s", "b")
    assert caplog.messages == [
        "closed a",
        "refused b",
        "closed a (2 more since this was last told)",
        "refused b (2 more since this was last told)",
    ]


def test_what_is_not_taken_is_not_kept_by_the_kernel_either() -> None:
    """Closed in the common way, a connection goes on being sent what the kernel has of its reply:
    megabytes for each, for as long as the client holds it."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(2**26))])
        return [bytes(2**26)]

    with running(app, QUICK) as server, connected(server) as client:
        client.sendall(head("GET", "/"))
        wait_for(lambda: any(each.total_outbufs_len for each in channels(server)))
        wait_for(lambda: not channels(server))
        with pytest.raises(ConnectionResetError):
            rest(client)
