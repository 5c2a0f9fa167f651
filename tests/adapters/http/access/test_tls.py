"""HTTPS, `--tls-keyfile` and `--tls-certfile`: spec api.md 1."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hexfusion.adapters.http.access.tls import server_context
from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.serving.server import Server
from tests.adapters.http.serving.test_server import LIMIT, PATIENCE, Gate, wait_for

trustme = pytest.importorskip("trustme")


class Certified:
    """A certificate for localhost, and who vouches for it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        self.certfile, self.keyfile = str(folder / "cert.pem"), str(folder / "key.pem")
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(self.certfile, append=number > 0)
        issued.private_key_pem.write_to_path(self.keyfile)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return Certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gate(house) -> Iterator[Gate]:
    house.on_txt2img = gate = Gate(slots=2, max_waiting=2)
    yield gate
    gate.open.set()


@contextmanager
def running(app: Callable[..., object], certified: Certified) -> Iterator[Server]:
    context = server_context(certified.certfile, certified.keyfile)
    server = Server(app, host="127.0.0.1", port=0, threads=4, max_body=LIMIT, tls=context)
    thread = threading.Thread(target=lambda: server.run(grace=PATIENCE))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def connected(
    app: Callable[..., object], certified: Certified
) -> Iterator[http.client.HTTPSConnection]:
    with running(app, certified) as server, closing(connection(server, certified)) as client:
        yield client


def connection(server: Server, certified: Certified) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(
        "localhost", server.port, timeout=PATIENCE, context=certified.client
    )


def secured(server: Server, certified: Certified) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    return certified.client.wrap_socket(plain, server_hostname="localhost")


JOB = b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def test_requests_one_after_another_on_one_connection(house, certified) -> None:
    """Some of them long: they come in many pieces."""
    with connected(create_app(house.services()), certified) as client:
        sockets = set()
        for images in (1, 128, 1):
            body = json.dumps({"batch_size": images, "prompt": "x" * 150_000})
            client.request("POST", "/sdapi/v1/txt2img", body)
            answer = client.getresponse()
            assert answer.status == 200
            assert len(json.loads(answer.read())["images"]) == images
            sockets.add(client.sock)
        assert len(sockets) == 1
        assert client.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_the_app_knows_who_calls_and_how(certified) -> None:
    seen: list[dict[str, str]] = []

    def app(environ, start_response):
        seen.append(environ)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with connected(app, certified) as client:
        client.request("GET", "/")
        client.getresponse().read()
        port = client.sock.getsockname()[1]
    (environ,) = seen
    assert environ["wsgi.url_scheme"] == "https"
    assert (environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])) == ("127.0.0.1", port)


def test_a_client_that_leaves_is_seen_by_its_job(house, gate: Gate, certified) -> None:
    with running(create_app(house.services()), certified) as server:
        client = secured(server, certified)
        client.sendall(JOB)
        wait_for(gate.jobs.current)
        assert not gate.gone.is_set()
        client.close()
        assert gate.gone.wait(PATIENCE)


def test_nothing_is_said_in_plain_text(house, certified) -> None:
    with (
        running(create_app(house.services()), certified) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client,
    ):
        client.sendall(b"GET /internal/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"HTTP" not in said


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(house, certified) -> None:
    ours = server_context(certified.certfile, certified.keyfile)
    assert ours.minimum_version == ssl.TLSVersion.TLSv1_2  # whatever OpenSSL's own default
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with running(create_app(house.services()), certified) as server:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        with closing(plain), pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(plain)


def test_those_who_never_finish_their_handshake_hold_up_nobody(house, certified) -> None:
    """There are four threads; twenty such clients need none."""
    with running(create_app(house.services()), certified) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01\x02\x00")
        started = time.monotonic()
        with closing(connection(server, certified)) as client:
            client.request("GET", "/internal/ping")
            assert client.getresponse().status == 200
        assert time.monotonic() - started < 2
        for each in silent:
            each.close()


def test_stopping_lets_running_jobs_finish_and_their_answers_arrive(
    house, gate: Gate, certified
) -> None:
    context = server_context(certified.certfile, certified.keyfile)
    app = create_app(house.services())
    server = Server(app, host="127.0.0.1", port=0, threads=4, tls=context)
    thread = threading.Thread(
        target=lambda: server.run(grace=PATIENCE, on_stop=gate.open.set), daemon=True
    )
    thread.start()
    with closing(connection(server, certified)) as client:
        client.request("POST", "/sdapi/v1/txt2img", '{"batch_size": 128}')
        wait_for(gate.jobs.current)
        server.stop()
        answer = client.getresponse()
        assert len(json.loads(answer.read())["images"]) == 128
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_slow_reader_gets_all_of_it(certified) -> None:
    """More than the buffers on the way hold together."""
    body = bytes(range(256)) * 40_000

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with running(app, certified) as server, secured(server, certified) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.partition(b"\r\n\r\n")[2] == body


def test_files_that_will_not_do(certified, tmp_path: Path) -> None:
    nothing = str(tmp_path / "no.pem")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no key")
    other = Certified(tmp_path)
    for cert, key in (
        (nothing, certified.keyfile),
        (certified.certfile, nothing),
        (str(garbage), certified.keyfile),
        (certified.certfile, other.keyfile),
    ):
        with pytest.raises(OSError):
            server_context(cert, key)


def test_an_encrypted_key_asks_nobody(certified, tmp_path: Path) -> None:
    """OpenSSL would ask on the terminal, where nobody is."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(certified.keyfile).read_bytes(), None)
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(OSError):
        server_context(certified.certfile, str(encrypted))
