"""Two users with different appetites and an administrator: does each user get half of the slots?

python -m benchmarks.fair_shares [--minutes 30] [--checkout DIR] [--json FILE]

Ann has 56 clients with long jobs, bob 8 with short ones; each sends the next when it has the last.
In the first minute all jobs have one step, some thousands of them, so that every thread of the
server has served and what it keeps is kept; that minute counts for the pictures alone.
Root polls `/progress`, changes options, starts jobs and cancels them. The backend is a fake one
whose steps take time, so that slots are what is scarce, and it notes when it worked for whom. Every
picture is compared with that of its seed alone. `--checkout` serves the sources of another folder.

Exit status 1 unless no picture is wrong, each user's share of the slots is within 10 % of half, the
server grew by less than 2 % after the first minute, and the 99th percentile of `/progress` is below
100 ms (which supposes that the machine has nothing else to do).
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import psutil
from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Client, order

TXT2IMG = "/sdapi/v1/txt2img"
PASSWORD = "s3cret"
#: Seconds between two polls of `/progress`, two samples of memory, two rounds of root's work.
POLL, SAMPLE, ROUND = 0.05, 5.0, 2.0
#: Seconds of the beginning, in which all jobs are quick; of a short run a third, if that is less.
BEGINNING = 60.0
#: What is asked for: distance of a share from half, growth of memory, 99th percentile in seconds.
OFF_HALF, GROWTH, LATENCY = 0.05, 0.02, 0.1

#: A backend as docs/adding-a-backend.md has it: the fake one, slow, with a book of who had it.
BACKEND = """
import os, threading, time
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.gpu.parts import OwnParts

class Slow(FakeInference):
    def __init__(self):
        super().__init__(seconds_per_step=float(os.environ["SLOW_STEP"]))
        self._book, self._turn = open(os.environ["SLOW_BOOK"], "a"), threading.Lock()

    def render(self, plan, observer, sources=None):
        begun = time.monotonic()
        try:
            return super().render(plan, observer, sources)
        finally:
            with self._turn:
                print(plan.noise.seeds[0], begun, time.monotonic(), file=self._book, flush=True)

def make_parts(flags, options, files):
    return OwnParts(Slow())
"""


@dataclass(frozen=True)
class User:
    """One user's clients. Their seeds, `first_seed` and the next ones, tell whose they are."""

    name: str
    clients: int
    steps: int
    first_seed: int

    def jobs(self, seeds: int, *, quick: bool = False) -> list[dict[str, object]]:
        """One for each seed; `quick`: of one step."""
        steps = 1 if quick else self.steps
        return [order(seed=self.first_seed + n, steps=steps) for n in range(seeds)]


@dataclass
class Tally:
    """What came back to one user."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Worked:
    """A job's time in the backend, monotonic seconds."""

    seed: int
    begun: float
    ended: float


def login(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{PASSWORD}".encode()).decode()}


def site(folder: Path, checkout: Path) -> Path:
    """A folder for PYTHONPATH: the sources under their name, and the backend where pip puts one."""
    folder.mkdir()
    (folder / "hexfusion").symlink_to(checkout.resolve())
    (folder / "slow_discs.py").write_text(BACKEND)
    declared = folder / "slow_discs-1.0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-discs\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text(
        "[hexfusion.backends]\nslow-discs = slow_discs:make_parts\n"
    )
    return folder


@contextmanager
def serving(
    folder: Path, checkout: Path, slots: int, queue: int, step: float
) -> Iterator[tuple[psutil.Process, int, Path]]:
    """The server of that checkout; gives its process, port, and the backend's book."""
    data, book, port = harness.data_directory(folder / "data", harness.STARTER), folder / "book", 0
    book.touch()
    env = {
        **os.environ,
        "PYTHONPATH": str(site(folder / "site", checkout)),
        "SLOW_STEP": str(step),
        "SLOW_BOOK": str(book),
    }
    hexfusion = [sys.executable, "-m", "hexfusion.bootstrap"]
    told = subprocess.run([*hexfusion, "--help"], env=env, capture_output=True, cwd=folder).stdout
    roles = ["--api-admin", "root"] if b"--api-admin" in told else []
    port = harness.free_port()
    accounts = ",".join(f"{name}:{PASSWORD}" for name in ("ann", "bob", "root"))
    command = [
        *(*hexfusion, "--backend", "slow-discs", "--data-dir", str(data), "--port", str(port)),
        *("--slots", str(slots), "--queue", str(queue), "--api-auth", accounts, *roles),
    ]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=env, cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        harness.wait_until_up(process, port, log)
        yield psutil.Process(process.pid), port, book
    finally:
        process.terminate()
        try:
            process.wait(harness.STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fingerprint(client: Client, wanted: Mapping[str, object], name: str) -> tuple[int, str]:
    """(status, hash of the picture as it came)."""
    reply = client.ask("POST", TXT2IMG, wanted, login(name))
    if reply.status != 200:
        return reply.status, ""
    (picture,) = reply.json()["images"]
    return reply.status, hashlib.sha256(picture.encode()).hexdigest()


def key(job: Mapping[str, object]) -> tuple[object, object]:
    return job["seed"], job["steps"]


def alone(port: int, users: Iterable[User], seeds: int) -> dict[object, str]:
    """The hash of each picture by seed and steps, each made with nothing else going on."""
    client, found = Client(port), dict[object, str]()
    for user in users:
        for job in (*user.jobs(seeds), *user.jobs(seeds, quick=True)):
            status, found[key(job)] = fingerprint(client, job, user.name)
            if status != 200:
                raise RuntimeError(f"a request alone was answered {status}")
    client.close()
    return found


class Load:
    """The clients of the users, until `end` is set."""

    def __init__(
        self, port: int, expected: Mapping[object, str], seeds: int, quick_until: float
    ) -> None:
        """`quick_until` is when the beginning is over, in monotonic seconds."""
        self._port, self._expected, self._seeds = port, expected, seeds
        self._quick_until = quick_until
        self.end = threading.Event()
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self._turn = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, user: User) -> None:
        for number in range(user.clients):
            thread = threading.Thread(target=self._ask_on, args=(user, number))
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _ask_on(self, user: User, number: int) -> None:
        client = Client(self._port)
        quick, long = user.jobs(self._seeds, quick=True), user.jobs(self._seeds)
        while not self.end.is_set():
            number += 1
            started = time.monotonic()
            beginning = started < self._quick_until
            jobs = quick if beginning else long
            job = jobs[number % len(jobs)]
            try:
                status, picture = fingerprint(client, job, user.name)
            except (OSError, HTTPException, ValueError):
                status, picture = 0, ""
            with self._turn:
                tally = self.tallies[user.name]
                tally.statuses[status] += 1
                tally.wrong += status == 200 and picture != self._expected[key(job)]
                if not beginning:
                    tally.seconds.append(time.monotonic() - started)
            if status != 200:
                self.end.wait(0.5)
        client.close()


class Root:
    """The administrator: polls, changes options, starts jobs and cancels them."""

    def __init__(self, port: int, end: threading.Event) -> None:
        self._port, self._end = port, end
        self.polls: list[float] = []
        self.statuses: Counter[str] = Counter()

    def poll(self) -> None:
        client, due = Client(self._port), time.perf_counter()
        while not self._end.is_set():
            if due > time.perf_counter():
                time.sleep(due - time.perf_counter())
                due = time.perf_counter()
            path = "/sdapi/v1/progress?skip_current_image=true"
            reply = client.ask("GET", path, headers=login("root"))
            self.statuses[f"/progress {reply.status}"] += 1
            self.polls.append(time.perf_counter() - due)  # from when it was due
            due += POLL
        client.close()

    def administer(self) -> None:
        client, number = Client(self._port), 0
        while not self._end.wait(ROUND):
            number += 1
            quality = {"jpeg_quality": 70 + number % 20}
            self._ask(client, "options", "POST", "/sdapi/v1/options", quality)
            job = order(seed=3000 + number % 8, steps=20)
            left = {"Prefer": "respond-async"}
            if id := self._ask(client, "left", "POST", TXT2IMG, job, left).get("id"):
                self._ask(client, "list", "GET", "/v1/jobs")
                self._ask(client, "cancel", "DELETE", f"/v1/jobs/{id}")
        client.close()

    def _ask(
        self,
        client: Client,
        what: str,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict:
        reply = client.ask(method, path, body, {**login("root"), **(headers or {})})
        self.statuses[f"{what} {reply.status}"] += 1
        return reply.json() or {}


def read_book(book: Path) -> list[Worked]:
    lines = (line.split() for line in book.read_text().splitlines())
    return [Worked(int(seed), float(begun), float(ended)) for seed, begun, ended in lines]


def slot_seconds(
    worked: Iterable[Worked], users: Sequence[User], since: float, until: float
) -> dict[str, float]:
    """Seconds of work for each user between two moments."""
    had = {user.name: 0.0 for user in users}
    for each in worked:
        for user in users:
            if 0 <= each.seed - user.first_seed < 1000:
                had[user.name] += max(0.0, min(each.ended, until) - max(each.begun, since))
    return had


def growth(samples: Sequence[tuple[float, int]]) -> float:
    """How much the last half minute is above the first one after a minute; of a shorter run, its
    last quarter above its third. `samples` are (seconds since the start, bytes)."""
    length = samples[-1][0]
    long = length > 120
    first, last = (60.0, 90.0) if long else (length / 2, length * 3 / 4)
    begin = [size for when, size in samples if first <= when <= last]
    end = [size for when, size in samples if when >= (length - 30 if long else last)]
    return statistics.median(end) / statistics.median(begin) - 1


def by_minute(samples: Sequence[tuple[float, int]]) -> list[float]:
    """The mean of each minute, MiB."""
    minutes: dict[int, list[int]] = defaultdict(list)
    for when, size in samples:
        minutes[int(when // 60)].append(size)
    return [statistics.mean(sizes) / 2**20 for _, sizes in sorted(minutes.items())]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--step", type=float, default=0.02, help="seconds that a step takes")
    parser.add_argument("--seeds", type=int, default=8, help="different pictures of each user")
    parser.add_argument("--checkout", type=Path, default=harness.ROOT, help="sources to serve")
    parser.add_argument("--json", type=Path)
    use = parser.parse_args(argv)
    users = [User("ann", 56, 60, 1000), User("bob", 8, 10, 2000)]
    clients = sum(user.clients for user in users)
    console, samples = harness.console(), list[tuple[float, int]]()
    console.print(harness.machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A place for every client, also where a user may have three quarters of them.
        queue = clients * 3 // 2
        with serving(folder, use.checkout, use.slots, queue, use.step) as (process, port, book):
            expected = alone(port, users, use.seeds)
            started = time.monotonic()
            counted = started + min(BEGINNING, use.minutes * 20)
            load = Load(port, expected, use.seeds, counted)
            root = Root(port, load.end)
            for user in users:
                load.start(user)
            others = [threading.Thread(target=work) for work in (root.poll, root.administer)]
            for thread in others:
                thread.start()
            while (passed := time.monotonic() - started) < use.minutes * 60:
                samples.append((passed, process.memory_info().rss))
                time.sleep(min(SAMPLE, max(0.0, use.minutes * 60 - passed)))
            ended = time.monotonic()
            load.end.set()
            load.join()
            for thread in others:
                thread.join()
            worked = read_book(book)
    had = slot_seconds(worked, users, counted, ended)
    total = sum(had.values())
    table = Table(title=f"{clients} clients, {use.slots} slots, {use.minutes:g} minutes")
    columns = (
        "user",
        "clients",
        "steps",
        "statuses",
        "wrong",
        "slot s",
        "share",
        "median s",
        "p99 s",
    )
    for column in columns:
        table.add_column(column, justify="left" if column in ("user", "statuses") else "right")
    for user in users:
        tally = load.tallies[user.name]
        table.add_row(
            *(user.name, str(user.clients), str(user.steps), statuses(tally.statuses)),
            *(str(tally.wrong), f"{had[user.name]:.0f}", f"{had[user.name] / total:.1%}"),
            f"{statistics.median(tally.seconds):.2f}",
            f"{harness.percentile(tally.seconds, 0.99):.2f}",
        )
    console.print(table)
    console.print(f"root: {statuses(root.statuses)}")
    latency = {share: harness.percentile(root.polls, share) for share in (0.5, 0.9, 0.99, 1.0)}
    told = ", ".join(f"p{share * 100:g} {each * 1000:.1f} ms" for share, each in latency.items())
    console.print(f"/progress, every {POLL * 1000:.0f} ms: {told} of {len(root.polls)}")
    minutes, grown = by_minute(samples), growth(samples)
    console.print("RSS by minute, MiB: " + " ".join(f"{each:.0f}" for each in minutes))
    wrong = sum(tally.wrong for tally in load.tallies.values())
    share = had["ann"] / total
    held = {
        f"wrong pictures: {wrong}": wrong == 0,
        f"ann's share of the slots: {share:.1%}": abs(share - 0.5) <= OFF_HALF,
        f"growth after the first minute: {grown:+.1%}": grown < GROWTH,
        f"/progress p99: {latency[0.99] * 1000:.1f} ms": latency[0.99] < LATENCY,
    }
    for line, holds in held.items():
        console.print(f"{'held' if holds else 'MISSED'}: {line}")
    harness.save(
        use.json,
        {
            "shares": had,
            "wrong": wrong,
            "statuses": {name: dict(each.statuses) for name, each in load.tallies.items()},
            "rss": minutes,
            "growth": grown,
            "progress": latency,
        },
    )
    return 0 if all(held.values()) else 1


def statuses(counted: Mapping[object, int]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in sorted(counted.items(), key=str))


if __name__ == "__main__":
    sys.exit(main())
