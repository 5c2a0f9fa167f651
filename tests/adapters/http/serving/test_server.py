"""The real waitress: what only threads and sockets can show."""

import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from waitress.channel import HTTPChannel

from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.downloads.downloader import DownloadLimits
from hexfusion.adapters.http.serving.server import ROOMS, SPARE_THREADS, Server, threads_for
from hexfusion.application.jobs.board import MAX_CLOSING, MAX_WATCHERS
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.domain.flags.own import OWN
from hexfusion.domain.generation import Txt2Img

LIMIT = 200_000
OWN_FLAGS = {flag.dest: flag.default for flag in OWN}
PATIENCE = 10.0  # seconds; only a broken server waits that long


@contextmanager
def running(app: Callable[..., object], threads: int = 4, **more: str) -> Iterator[Server]:
    server = Server(app, host="127.0.0.1", port=0, threads=threads, max_body=LIMIT, **more)
    thread = threading.Thread(target=lambda: server.run(grace=PATIENCE))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def ask(
    port: int, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


class Gate:
    """Jobs of a real queue that work until the gate opens, or their client is gone."""

    def __init__(self, slots: int, max_waiting: int) -> None:
        self.jobs = JobQueue(time.time, slots, max_waiting)
        self.open = threading.Event()
        self.gone = threading.Event()

    def __call__(self, request: Txt2Img, abandoned: Callable[[], bool]) -> None:
        with self.jobs.admit(Job("txt2img", time.time, request.force_task_id, abandoned)):
            while not self.open.wait(0.01):
                if abandoned():
                    self.gone.set()
                    return


@pytest.fixture
def gate(house) -> Iterator[Gate]:
    house.on_txt2img = gate = Gate(slots=2, max_waiting=2)
    yield gate
    gate.open.set()


def start(port: int, answers: list[int]) -> threading.Thread:
    def call() -> None:
        answers.append(ask(port, "POST", "/sdapi/v1/txt2img", {})[0])

    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_progress_answers_while_every_slot_and_the_whole_queue_are_busy(house, gate: Gate) -> None:
    answers: list[int] = []
    with running(create_app(house.services()), threads_for(2, 2)) as server:
        clients = [start(server.port, answers) for _ in range(4)]
        wait_for(lambda: len(gate.jobs.waiting()) == 2)
        times = []
        for _ in range(20):
            before = time.monotonic()
            assert ask(server.port, "GET", "/sdapi/v1/progress")[0] == 200
            times.append(time.monotonic() - before)
        assert sorted(times)[10] < 0.5
        assert ask(server.port, "POST", "/sdapi/v1/interrupt")[2] == b"{}"
        status, headers, _ = ask(server.port, "POST", "/sdapi/v1/txt2img", {})
        assert status == 429
        assert int(headers["Retry-After"]) >= 1
        assert answers == []
        gate.open.set()
        for client in clients:
            client.join(PATIENCE)
    assert answers == [200] * 4


def test_there_are_threads_to_spare() -> None:
    """Beyond all that may be held: by jobs and their previews, watchers, those who wait in the
    rooms outside the queue, and downloads."""
    jobs = 3 + 32 + MAX_CLOSING
    held = jobs + 3 + MAX_WATCHERS + ROOMS * (1 + 4) + DownloadLimits().at_once
    assert threads_for(3, 32, 4) - held == SPARE_THREADS
    assert SPARE_THREADS >= 2
    assert threads_for(3, 32, 5) == threads_for(3, 32, 4) + ROOMS
    assert threads_for(3, 32) == threads_for(3, 32, OWN_FLAGS["loads_waiting"])


def test_a_client_that_leaves_is_seen_by_its_job(house, gate: Gate) -> None:
    with running(create_app(house.services())) as server:
        client = connected(server)
        client.sendall(b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        wait_for(gate.jobs.current)
        assert not gate.gone.is_set()
        client.close()
        assert gate.gone.wait(PATIENCE)


def test_a_job_that_is_to_be_kept_does_not_care(house, gate: Gate) -> None:
    with running(create_app(house.services())) as server:
        client = connected(server)
        client.sendall(
            b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nX-Keep-Job: true\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        wait_for(gate.jobs.current)
        client.close()
        assert not gate.gone.wait(0.5)
        assert gate.jobs.current()


def test_too_long_a_body_is_told_so_even_if_the_client_sends_all_of_it(house) -> None:
    with running(create_app(house.services())) as server:
        status, headers, body = ask(server.port, "POST", "/sdapi/v1/txt2img", "x" * 30_000_000)
        assert (status, headers["Content-Type"]) == (413, "application/json")
        assert json.loads(body) == {
            "detail": f"the body is too large: at most {LIMIT} bytes are taken"
        }
        assert ask(server.port, "GET", "/internal/ping")[0] == 200


@pytest.mark.parametrize("length", [104857600, 2**63 - 1, 2**63, 10**29])
def test_a_client_that_asks_first_is_told_before_it_sends(house, length) -> None:
    """Lengths over 63 bits waitress refuses by itself, and would invite all the same."""
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(
            b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % length
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_within_the_limit_may_ask_first_too(house) -> None:
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(
            b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 2\r\n\r\n"
        )
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_broken_http_is_refused_in_json(house) -> None:
    with running(create_app(house.services())) as server, connected(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert answer.endswith(b'{"detail":"Bad Request"}')


def test_what_is_refused_before_the_application_is_logged_too(house, caplog) -> None:
    caplog.set_level(logging.INFO, "hexfusion.refused")
    with running(create_app(house.services())) as server:
        with connected(server) as client:
            client.sendall(b"GET /a\x1b[2J HTTP/1.1\r\nno colon\r\n\r\n")
            b"".join(iter(lambda: client.recv(4096), b""))
        ask(server.port, "POST", "/sdapi/v1/txt2img", "x" * 30_000_000)
    broken, large = (each.getMessage() for each in caplog.records)
    assert " 400: " in broken
    assert "client 127.0.0.1" in broken
    assert broken.isprintable()
    assert large.startswith("POST /sdapi/v1/txt2img 413: TooLarge: the body is too large: at most")


def test_a_long_answer_arrives_whole(house) -> None:
    with running(create_app(house.services())) as server:
        _, headers, body = ask(server.port, "POST", "/sdapi/v1/txt2img", {"batch_size": 128})
    assert int(headers["Content-Length"]) == len(body)
    assert len(json.loads(body)["images"]) == 128
    assert headers["Server"] == "hexfusion"


def test_stopping_lets_running_jobs_finish(house, gate: Gate) -> None:
    answers: list[int] = []
    app = create_app(house.services())
    server = Server(app, host="127.0.0.1", port=0, threads=4)
    port = server.port
    thread = threading.Thread(
        target=lambda: server.run(grace=PATIENCE, on_stop=gate.open.set), daemon=True
    )
    thread.start()
    client = start(port, answers)
    wait_for(gate.jobs.current)
    server.stop()
    client.join(PATIENCE)
    thread.join(PATIENCE)
    assert answers == [200]
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_stopping_lets_an_answer_be_read_to_its_end() -> None:
    """Its request is over: only the bytes that are not yet sent tell that somebody is there."""
    size, sent = 64 * 2**20, threading.Event()

    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(size))])
        sent.set()
        return [bytes(size)]

    server = Server(app, host="127.0.0.1", port=0, threads=1)
    thread = threading.Thread(target=lambda: server.run(grace=PATIENCE), daemon=True)
    thread.start()
    with connected(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert sent.wait(PATIENCE)
        wait_for(lambda: not any(each.requests for each in channels(server)))
        server.stop()
        time.sleep(0.5)  # some turns of the loop, in which it might give up
        head, _, body = b"".join(iter(lambda: client.recv(2**20), b"")).partition(b"\r\n\r\n")
    thread.join(PATIENCE)
    assert b"200 OK" in head
    assert len(body) == size


def channels(server: Server) -> list[HTTPChannel]:
    return [each for each in [*server._sockets.values()] if isinstance(each, HTTPChannel)]


def test_stopping_does_not_wait_for_ever(house, gate: Gate) -> None:
    server = Server(create_app(house.services()), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=lambda: server.run(grace=0.2), daemon=True)
    thread.start()
    client = connected(server)
    client.sendall(b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    wait_for(gate.jobs.current)
    server.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    client.close()


@pytest.mark.parametrize("prefix", ["a1111", "/a1111", "/a1111/", "/deep/er"])
def test_a_proxy_may_serve_it_under_a_prefix_and_take_that_off_or_not(house, prefix) -> None:
    """`--subpath`, spec api.md 1. In A1111 the proxy must take it off."""
    place = "/" + prefix.strip("/")
    with running(create_app(house.services()), prefix=prefix) as server:
        for start in ("", place):
            assert ask(server.port, "GET", f"{start}/internal/ping")[0] == 200
            document = json.loads(ask(server.port, "GET", f"{start}/openapi.json")[2])
            assert document["servers"] == [{"url": place}]
            assert b"openapi.json" in ask(server.port, "GET", f"{start}/docs")[2]
        assert ask(server.port, "GET", f"{place}x/internal/ping")[0] == 404
        assert ask(server.port, "GET", f"{place}{place}/internal/ping")[0] == 404


def test_without_a_prefix_no_server_is_named(client) -> None:
    assert "servers" not in client.simulate_get("/openapi.json").json


def whose(**more: str) -> str:
    """The address that the app sees of a client that says it is forwarded."""
    seen: list[str] = []

    def app(environ, start_response):
        seen.append(environ["REMOTE_ADDR"])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with running(app, **more) as server:
        ask(server.port, "GET", "/", **{"X-Forwarded-For": "10.9.9.9, 192.0.2.7"})
    return seen[0]


def test_only_a_trusted_proxy_is_believed_and_only_its_own_word() -> None:
    assert whose() == "127.0.0.1"
    assert whose(trusted_proxy="10.0.0.1") == "127.0.0.1"
    assert whose(trusted_proxy="127.0.0.1") == "192.0.2.7"


def test_a_listener_that_leaves_frees_its_thread(house, gate: Gate) -> None:
    """There is one thread for the job's request, and one for everything else."""
    services = house.services()
    with running(create_app(services), threads=2) as server:
        sent = {"force_task_id": "a"}
        status, _, _ = ask(server.port, "POST", "/sdapi/v1/txt2img", sent, Prefer="respond-async")
        assert status == 202
        for _ in range(3):
            client = connected(server)
            client.sendall(b"GET /v1/jobs/a/events HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = b""
            while b"event: progress" not in heard:
                heard += client.recv(4096)
            assert b"Transfer-Encoding: chunked" in heard
            client.close()
        assert ask(server.port, "GET", "/v1/jobs/a")[0] == 200
        wait_for(lambda: services.board._watchers.total() == 0)
        gate.open.set()


def test_events_come_as_they_happen_and_end_with_the_job(house, gate: Gate) -> None:
    with running(create_app(house.services())) as server, connected(server) as client:
        sent = {"force_task_id": "a"}
        ask(server.port, "POST", "/sdapi/v1/txt2img", sent, Prefer="respond-async")
        client.sendall(b"GET /v1/jobs/a/events HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while b"event: progress" not in heard:
            heard += client.recv(4096)
        gate.open.set()
        while not heard.endswith(b"0\r\n\r\n"):
            heard += client.recv(4096)
        assert b"event: done" in heard


def test_stopping_waits_for_what_goes_on_without_a_request(house, gate: Gate) -> None:
    services = house.services()
    server = Server(create_app(services), host="127.0.0.1", port=0, threads=4)
    stopping = threading.Event()
    thread = threading.Thread(
        target=lambda: server.run(
            grace=PATIENCE, on_stop=stopping.set, busy=lambda: services.board.busy
        ),
        daemon=True,
    )
    thread.start()
    sent = {"force_task_id": "a"}
    ask(server.port, "POST", "/sdapi/v1/txt2img", sent, Prefer="respond-async")
    wait_for(gate.jobs.current)
    server.stop()
    assert stopping.wait(PATIENCE)
    thread.join(0.3)
    assert thread.is_alive()
    gate.open.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert services.board.status("a").kept == "result"


PROGRAM = """
import sys
from hexfusion.adapters.http.serving.server import serve

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

serve(app, host="127.0.0.1", port=0, threads=1, on_ready=lambda port: print(port, flush=True))
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        port = int(process.stdout.readline())
        assert ask(port, "GET", "/")[2] == b"ok"
        process.send_signal(number)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
