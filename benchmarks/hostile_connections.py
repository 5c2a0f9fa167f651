"""Connections that hold what they should not: what does the server lose, and for how long?

python -m benchmarks.hostile_connections [--only ATTACK ...] [--checkout DIR] [--json FILE]

Each attack has a server of its own on the fake backend, with default flags. Attackers come from
127.0.0.2 and up, an honest client from 127.0.0.1, which asks for /progress on new connections while
the attack goes on. Told are the honest client's answers, the statuses that attackers got, and what
the server held at most and at the end. With `--checkout` it is the server of another checkout, to
compare with. Exit status 1 if the honest client was refused, or something is held at the end.
"""

import argparse
import base64
import contextlib
import io
import json
import random
import resource
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image
from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Client
from benchmarks.hostile_servers import Honest, Victim, connect, server, status_of

TXT2IMG = "/sdapi/v1/txt2img"
_MIB = 2**20


@dataclass
class Outcome:
    """What became of an attack. Memory and files in MiB, `log` in KiB."""

    attack: str
    connections: int
    statuses: dict[int, int] = field(default_factory=dict)
    honest: int = 0
    asked: int = 0
    slowest: float = 0.0
    grown: float = 0.0
    parked: float = 0.0
    left: int = 0
    log: float = 0.0
    seconds: float = 0.0
    note: str = ""


class Attackers:
    """Connections of an attack. `statuses` are those of the answers so far."""

    def __init__(self, victim: Victim, outcome: Outcome) -> None:
        self._victim = victim
        self._outcome = outcome
        self._open: list[socket.socket] = []
        self._answered: set[socket.socket] = set()
        self._before = victim.memory()

    def open(self, sent: bytes, source: str = "127.0.0.2", buffer: int | None = None) -> None:
        """Connect and send; refusals are counted as status 0."""
        self._outcome.connections += 1
        try:
            connection = connect(self._victim.port, source, buffer)
            connection.setblocking(False)
            self._open.append(connection)
            with contextlib.suppress(BlockingIOError):
                connection.send(sent)
        except OSError:
            self._count(0)

    def send(self, data: bytes) -> int:
        """To all that are still open; returns the bytes that were taken."""
        taken = 0
        for each in self._open:
            with contextlib.suppress(OSError):
                taken += each.send(data)
        return taken

    def read(self) -> None:
        """Read the status of each answer that has come, and no more of it; drop what is closed."""
        watched = select.poll()
        by_number = {each.fileno(): each for each in self._open if each not in self._answered}
        for number in by_number:
            watched.register(number, select.POLLIN)
        for number, _ in watched.poll(0):
            each = by_number[number]
            try:
                answer = each.recv(64)
            except OSError:
                answer = b""
            self._count(status_of(answer))
            self._answered.add(each)

    def left(self) -> int:
        """How many the server has not closed."""
        left = 0
        for each in self._open:
            with contextlib.suppress(OSError):
                each.setblocking(False)
                info = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
                left += info[0] == 1  # TCP_ESTABLISHED
        return left

    def measure(self) -> None:
        outcome, victim = self._outcome, self._victim
        outcome.grown = max(outcome.grown, victim.memory() - self._before)
        outcome.parked = max(outcome.parked, victim.parked())

    def close(self) -> None:
        for each in self._open:
            each.close()

    def _count(self, status: int) -> None:
        statuses = self._outcome.statuses
        statuses[status] = statuses.get(status, 0) + 1


def go_on(
    attackers: Attackers,
    victim: Victim,
    outcome: Outcome,
    seconds: float,
    drip: bytes = b"",
    *,
    reads: bool = True,
) -> None:
    """For so long: a drip of each attacker every second, and an honest client's request."""
    honest, end = Honest(victim.port), time.monotonic() + seconds
    while time.monotonic() < end:
        if drip:
            attackers.send(drip)
        if reads:
            attackers.read()
        attackers.measure()
        served, slowest = honest.served(1)
        outcome.honest += served
        outcome.asked += 1
        outcome.slowest = max(outcome.slowest, slowest)
        time.sleep(max(0.0, min(1.0 - slowest, end - time.monotonic())))
    outcome.left = attackers.left()


Attack = Callable[[Attackers, Victim, Outcome], None]


def parked_bodies(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """12 strangers send 50 of 60 MiB, and wait."""
    for number in range(12):
        attackers.open(head("POST", TXT2IMG, 60 * _MIB), f"127.0.0.{2 + number}")
    sent, piece, end = 0, bytes(_MIB), time.monotonic() + 20
    while sent < 12 * 50 * _MIB and time.monotonic() < end:
        taken = attackers.send(piece)
        sent += taken
        attackers.read()
        if not taken:
            time.sleep(0.01)
    attackers.measure()
    outcome.note = f"{sent >> 20} MiB sent"
    go_on(attackers, victim, outcome, 15)


def slow_headers(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """1,000 connections from 10 addresses send a byte of a header each second."""
    for number in range(1000):
        attackers.open(b"GET / HTTP/1.1\r\nX: ", f"127.0.0.{2 + number % 10}")
    go_on(attackers, victim, outcome, 26, b"x")


def slow_bodies(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """400 connections from 4 addresses send a byte of a body each second."""
    for number in range(400):
        attackers.open(head("POST", TXT2IMG, _MIB), f"127.0.0.{2 + number % 4}")
    go_on(attackers, victim, outcome, 36, b" ")


def unread_events(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """40 watchers of a running job read nothing; may another watch it in the end?"""
    client = Client(victim.port, timeout=20)
    order = {"steps": 150, "n_iter": 100, "force_task_id": "job", "width": 512, "height": 512}
    client.ask("POST", TXT2IMG, order, {"Prefer": "respond-async"})
    for _ in range(40):
        attackers.open(head("GET", "/v1/jobs/job/events"), buffer=4096)
    go_on(attackers, victim, outcome, 45, reads=False)
    attackers.read()
    with contextlib.suppress(OSError), connect(victim.port) as watcher:
        watcher.sendall(head("GET", "/v1/jobs/job/events"))
        outcome.note = f"another watcher: {status_of(watcher.recv(64))}"
    client.close()


def unread_replies(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """8 clients ask for a large picture and read nothing of it."""
    picture = io.BytesIO()
    Image.frombytes("RGB", (256, 256), random.Random(1).randbytes(256 * 256 * 3)).save(
        picture, "PNG"
    )
    body = {
        "image": base64.b64encode(picture.getvalue()).decode(),
        "upscaling_resize": 6,
        "upscaler_1": "Lanczos",
    }
    sent = json.dumps(body).encode()
    for _ in range(8):
        attackers.open(b"", buffer=4096)
    request = head("POST", "/sdapi/v1/extra-single-image", len(sent)) + sent
    for each in attackers._open:
        each.setblocking(True)
        each.sendall(request)
    go_on(attackers, victim, outcome, 55, reads=False)


def few_descriptors(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """200 connections to a server with 64 descriptors, without a request."""
    before = victim.process.cpu_times().user + victim.process.cpu_times().system
    for number in range(200):
        attackers.open(b"", f"127.0.0.{2 + number % 4}")
    go_on(attackers, victim, outcome, 10)
    after = victim.process.cpu_times().user + victim.process.cpu_times().system
    outcome.note = f"{after - before:.1f} s of processor"


def one_address(attackers: Attackers, victim: Victim, outcome: Outcome) -> None:
    """1,500 connections from one address, half a header each; may another of it come?"""
    for _ in range(1500):
        attackers.open(b"GET / HTTP/1.1\r\n")
    go_on(attackers, victim, outcome, 5)
    with contextlib.suppress(OSError), connect(victim.port, "127.0.0.2") as same:
        same.settimeout(5)
        same.sendall(head("GET", "/internal/ping"))
        outcome.note = f"the same address: {status_of(same.recv(64))}"


@dataclass(frozen=True)
class Kind:
    make: Attack
    flags: tuple[str, ...] = ()
    descriptors: int | None = None
    pause: float = 0.0


ATTACKS = {
    "parked bodies": Kind(parked_bodies, ("--api-auth", "a:b")),
    "slow headers": Kind(slow_headers),
    "slow bodies": Kind(slow_bodies),
    "unread events": Kind(unread_events, pause=0.02),
    "unread replies": Kind(unread_replies),
    "64 descriptors": Kind(few_descriptors, descriptors=64),
    "one address": Kind(one_address),
}
#: Attacks at whose end the server still may hold connections: those that are within its limits.
MAY_STAY = {"64 descriptors", "one address"}


def head(method: str, path: str, length: int | None = None) -> bytes:
    told = "" if length is None else f"Content-Length: {length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{told}\r\n".encode()


def attacked(name: str, checkout: Path) -> Outcome:
    kind, outcome = ATTACKS[name], Outcome(name, 0)
    started = time.monotonic()
    with server(checkout, kind.flags, descriptors=kind.descriptors, pause=kind.pause) as victim:
        attackers = Attackers(victim, outcome)
        try:
            kind.make(attackers, victim, outcome)
        finally:
            attackers.close()
        outcome.log = victim.log.stat().st_size / 2**10
    outcome.seconds = time.monotonic() - started
    return outcome


def held(outcome: Outcome) -> bool:
    """Whether the server has not defended itself."""
    refused = outcome.honest < outcome.asked
    return refused or (outcome.left > 0 and outcome.attack not in MAY_STAY)


def table(found: Sequence[Outcome]) -> Table:
    shown = Table(
        "attack", "connections", "statuses", "honest", "slowest s", "RSS + MiB", "files MiB",
        "left", "log KiB", "", title="Connections that hold what they should not",
    )  # fmt: skip
    for each in found:
        statuses = ", ".join(f"{n} x {status}" for status, n in sorted(each.statuses.items()))
        shown.add_row(
            each.attack,
            str(each.connections),
            statuses,
            f"{each.honest}/{each.asked}",
            f"{each.slowest:.2f}",
            f"{each.grown:.0f}",
            f"{each.parked:.0f}",
            str(each.left),
            f"{each.log:.1f}",
            each.note + (" [red]✗[/red]" if held(each) else ""),
        )
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--checkout", type=Path, default=harness.ROOT)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    found = [attacked(name, arguments.checkout) for name in arguments.only]
    console = harness.console()
    console.print(table(found))
    harness.save(arguments.json, {"attacks": [asdict(each) for each in found]})
    return 1 if any(map(held, found)) else 0


if __name__ == "__main__":
    sys.exit(main())
