"""A real server, and sockets to it."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hexfusion.adapters.http.serving.channel import Channel
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.server import Server

PATIENCE = 20.0  # seconds; only a broken server waits that long


@contextmanager
def running(
    app: Callable[..., object], limits: ConnectionLimits | None = None, **more: Any
) -> Iterator[Server]:
    given = {"threads": 4, "max_body": 2**20, **more}
    server = Server(app, host="127.0.0.1", port=0, limits=limits, **given)
    thread = threading.Thread(target=lambda: server.run(grace=PATIENCE))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def connected(server: Server, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE, source_address=(source, 0)
    )


def head(method: str, path: str, length: int | None = None, *lines: str) -> bytes:
    told = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: localhost", *told, *lines, "", ""]
    ).encode()


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found[1]) if found else 0


def reply(client: socket.socket) -> bytes:
    """The next reply, of the length that it tells."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = client.recv(65536)
        if not piece:
            return got
        got += piece
    top, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\nContent-Length: (\d+)", top)
    while length and len(body) < int(length[1]):
        body += client.recv(65536)
    return top + b"\r\n\r\n" + body


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def channels(server: Server) -> list[Channel]:
    return [each for each in [*server._sockets.values()] if isinstance(each, Channel)]


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
