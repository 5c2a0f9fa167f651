"""A server that is killed, and one that cannot write: what becomes of the jobs it accepted?

python -m benchmarks.hostile_restarts [--kills N] [--only kills|disks] [--seed N]
    [--checkout DIR] [--json FILE]

Servers with the fake backend and `--job-dir` are killed (SIGKILL) at random moments while clients
send jobs of 10 to 300 ms, wait for them or leave them to the server, send ids again, and delete
jobs. After each restart, and at the end, every job that was answered has to be there. Then the
same where nothing can be written: a full disk, a folder without write permission, a deleted one, 64
descriptors. `--checkout` runs another version. Exit status 1 if a job is missing or wrong.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Reply
from benchmarks.restarting import PATIENCE, Server

TXT2IMG = "/sdapi/v1/txt2img"
#: Clients at once.
CLIENTS = 6
#: Different pictures that are asked for: seed and steps of each.
PICTURES = [(seed, steps) for seed, steps in enumerate((1, 2, 3, 5, 8, 13, 20, 30) * 3)]
#: A server that is up is killed within so many seconds, one that starts within so many.
UP, STARTING = 0.6, 1.2
#: Share of the servers that are killed while they start.
EARLY = 0.15


@dataclass
class Job:
    """A job, and what was heard of it. `picture` is None for a random seed."""

    id: str
    wanted: dict[str, object]
    picture: tuple[int, int] | None
    accepted: bool = False
    images: list[str] | None = None
    busy: int = 0
    deleted: bool = False
    ends: set[str] = field(default_factory=set)
    """As what it may be told after it was deleted, if that was confirmed."""


@dataclass
class Found:
    """What went wrong, by kind; ids."""

    forgotten: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    undeleted: set[str] = field(default_factory=set)
    litter: int = 0

    @property
    def good(self) -> bool:
        return not any(asdict(self).values())


class Clients:
    """Send jobs until they are told to stop, and check what they hear."""

    def __init__(self, server: Server, alone: dict[tuple[int, int], list[str]]) -> None:
        self.server = server
        self.alone = alone
        self.jobs: dict[str, Job] = {}
        self.found = Found()
        self.failed: set[str] = set()
        self.statuses: dict[int, int] = {}
        self._lock = threading.Lock()
        self._number = 0

    def work(self, seed: float, end: threading.Event) -> None:
        chance = random.Random(seed)
        while not end.is_set():
            known = list(self.jobs.values())
            recent = known[-30:]
            what = chance.random()
            if recent and what < 0.12:
                self.delete(chance.choice(recent))
            elif recent and what < 0.35:
                self.send(chance.choice(recent), behind=chance.random() < 0.5)
            elif recent and what < 0.5:
                self.look(chance.choice(recent))
            else:
                self.send(self.new(chance), behind=chance.random() < 0.7)

    def new(self, chance: random.Random) -> Job:
        picture = None if chance.random() < 0.25 else chance.choice(PICTURES)
        seed, steps = picture or (-1, 5)
        with self._lock:
            self._number += 1
            id = f"job-{self._number}" if chance.random() < 0.8 or picture is None else ""
        wanted = harness.order(seed=seed, steps=steps)
        return Job(id, {**wanted, "force_task_id": id} if id else wanted, picture)

    def send(self, job: Job, *, behind: bool) -> None:
        with self._lock:
            if job.deleted:
                return
            job.busy += 1
            if job.id:
                self.jobs.setdefault(job.id, job)
        reply = self.server.ask("POST", TXT2IMG, job.wanted, behind=behind or not job.id)
        with self._lock:
            job.busy -= 1
            if reply is not None:
                self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        if reply is None:
            time.sleep(0.02)  # it is gone, and so is this client soon
        elif reply.status == 429:
            time.sleep(0.05)
        elif reply.status == 202:
            job.id = reply.json()["id"]
            self.jobs.setdefault(job.id, job)
            job.accepted = True
        elif reply.status == 200:
            job.accepted = True
            self.heard(job, reply.json()["images"])

    def heard(self, job: Job, images: list[str]) -> None:
        if job.deleted:
            return  # who waits for a job that is stopped gets its picture so far
        if job.picture is not None and images != self.alone[job.picture]:
            self.found.wrong.add(job.id)
        if job.images not in (None, images):
            self.found.doubled.add(job.id)
        job.images = images

    def delete(self, job: Job) -> None:
        """Delete a job that nobody else is asking for, and ask for it no more."""
        with self._lock:
            if job.busy or job.deleted or not job.accepted:
                return
            job.deleted = True
        reply = self.server.ask("DELETE", f"/v1/jobs/{quote(job.id)}")
        if reply and reply.status == 200:
            cancelled = reply.json()["state"] == "cancelled" and job.images is None
            job.ends = {"cancelled", "404"} if cancelled else {"404"}

    def look(self, job: Job) -> str | None:
        """Its state, as far as it is told; notes what must not be."""
        doubtful, ends = job.deleted, job.ends
        reply = self.server.ask("GET", f"/v1/jobs/{quote(job.id)}")
        if reply is None:
            return None
        if reply.status == 404:
            if job.accepted and not doubtful and not job.deleted:
                (self.found.lost if job.images else self.found.forgotten).add(job.id)
            return "404"
        if reply.status != 200:
            self.found.lost.add(f"{job.id}: {reply.status}")
            return str(reply.status)
        told = reply.json()
        if ends and told["state"] not in ends:
            self.found.undeleted.add(job.id)
        if told["state"] == "done":
            if told["result"] is None:
                self.found.lost.add(job.id)
            else:
                self.heard(job, told["result"]["images"])
        if told["state"] == "failed":
            self.failed.add(job.id)
            if job.images and not (doubtful or job.deleted):
                self.found.lost.add(job.id)
        return str(told["state"])

    def settle(self) -> None:
        """Wait until all are over, and look at each."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            reply = self.server.ask("GET", "/v1/jobs")
            assert reply is not None
            listed = reply.json()["jobs"]
            if not any(each["state"] in ("queued", "running") for each in listed):
                break
            time.sleep(0.2)
        ids = [each["id"] for each in listed]
        self.found.doubled |= {id for id in ids if ids.count(id) > 1}
        for job in list(self.jobs.values()):
            self.look(job)


def alone(server: Server) -> dict[tuple[int, int], list[str]]:
    """Each picture as it is made while nothing else happens."""
    made = {}
    for seed, steps in PICTURES:
        reply = server.ask("POST", TXT2IMG, harness.order(seed=seed, steps=steps))
        assert reply is not None and reply.status == 200, reply
        made[seed, steps] = reply.json()["images"]
    return made


def killed(checkout: Path, folder: Path, kills: int, seed: int) -> tuple[Clients, int]:
    """The clients of a server that was killed so often, and the number of files that it left."""
    chance = random.Random(seed)
    data = harness.data_directory(folder / "data", harness.STARTER)
    jobs = folder / "jobs"
    server = Server(checkout, data, jobs, "--queue", "100")
    assert server.start(), server.log()
    clients = Clients(server, alone(server))
    server.kill()
    for round_ in range(kills):
        if chance.random() < EARLY:
            server.start(wait=False)
            time.sleep(chance.random() * STARTING)
            server.kill()
            continue
        assert server.start(), server.log()
        end = threading.Event()
        threads = [
            threading.Thread(target=clients.work, args=(chance.random(), end))
            for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for job in list(clients.jobs.values())[-20:]:
            if round_ % 3:
                break
            clients.look(job)
        time.sleep(chance.random() * UP)
        server.kill()
        end.set()
        for thread in threads:
            thread.join()
    assert server.start(), server.log()
    clients.settle()
    server.kill()
    assert server.start(), server.log()
    clients.settle()
    reply = server.ask("GET", "/v1/jobs")
    assert reply is not None
    rows = len(reply.json()["jobs"])
    server.stop()
    files = [each for each in jobs.iterdir() if not each.name.startswith("jobs.sqlite3")]
    clients.found.litter = abs(len(files) - rows)
    return clients, len(files)


@dataclass
class Broken:
    """What became of jobs where nothing could be written."""

    what: str
    ready: int | None = None
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    forgotten: int = 0
    forgotten_after_restart: int = 0
    states: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.forgotten and not self.forgotten_after_restart


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of four MiB."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder.parent / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def broken(
    what: str,
    checkout: Path,
    folder: Path,
    jobs: Path,
    breaks: Callable[[Path], object] = lambda path: None,
    mends: Callable[[Path], object] | None = lambda path: None,
    *,
    descriptors: int = 0,
    prefix: Sequence[str] = (),
) -> Broken:
    """Forty jobs, of which half are under way when nothing can be written any more."""
    told = Broken(what)
    jobs.mkdir()
    data = harness.data_directory(folder / f"data of {what}", harness.STARTER)
    server = Server(checkout, data, jobs, "--queue", "100")
    assert server.start(descriptors=descriptors, prefix=prefix), server.log()
    ids: list[str] = []
    lock = threading.Lock()

    def send(first: int) -> None:
        for number in range(first, first + 5):
            sent = harness.order(seed=number, steps=10, force_task_id=f"{what} {number}")
            reply = server.ask("POST", TXT2IMG, sent, behind=True)
            with lock:
                if reply is not None and reply.status == 202:
                    ids.append(reply.json()["id"])
                else:
                    why = str(reply.status) if reply else "no answer"
                    told.refused[why] = told.refused.get(why, 0) + 1

    def send_all(numbers: range) -> None:
        threads = [threading.Thread(target=send, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def states() -> dict[str, int]:
        seen: dict[str, int] = {}
        for id in ids:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                reply = server.ask("GET", f"/v1/jobs/{quote(id)}")
                state = _state(reply)
                if state not in ("queued", "running", "no answer"):
                    break
                time.sleep(0.05)
            seen[state] = seen.get(state, 0) + 1
        return seen

    send_all(range(0, 20, 5))
    breaks(jobs)
    send_all(range(20, 40, 5))
    told.accepted = len(ids)
    told.states = states()
    told.forgotten = told.states.get("404", 0)
    reply = server.ask("GET", "/health/ready")
    told.ready = reply.status if reply else None
    server.kill()
    if mends is not None:
        mends(jobs)
        assert server.start(), server.log()
        told.forgotten_after_restart = states().get("404", 0)
        server.kill()
    return told


def _state(reply: Reply | None) -> str:
    if reply is None:
        return "no answer"
    return str(reply.json()["state"]) if reply.status == 200 else str(reply.status)


def all_broken(checkout: Path, folder: Path) -> Iterator[Broken]:
    if os.geteuid() == 0:  # who else may mount
        with small_disk(folder / "disk") as disk:
            yield broken(
                "full disk", checkout, folder, disk / "jobs", fill,
                lambda path: (path.parent / "filler").unlink(),
            )  # fmt: skip
    jobs = folder / "read-only"
    # Root may write anywhere, but for this.
    held = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    yield broken(
        "read-only", checkout, folder, jobs, lambda path: path.chmod(0o555),
        lambda path: path.chmod(0o755), prefix=held if os.geteuid() == 0 else (),
    )  # fmt: skip
    yield broken("deleted", checkout, folder, folder / "deleted", shutil.rmtree, None)
    yield broken("64 descriptors", checkout, folder, folder / "few", descriptors=64)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", choices=("kills", "disks"), help="one of the two parts")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--checkout", type=Path, default=harness.ROOT, help="version to run")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    checkout = arguments.checkout.resolve()
    console = harness.console()
    console.print(harness.machine())
    figures: dict[str, object] = {}
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.only != "disks":
            clients, files = killed(checkout, folder, arguments.kills, arguments.seed)
            found = clients.found
            good = found.good
            accepted = sum(job.accepted for job in clients.jobs.values())
            table = Table(title=f"{arguments.kills} kills")
            counts = {
                "jobs": len(clients.jobs), "accepted": accepted, "told as failed":
                len(clients.failed), "forgotten": len(found.forgotten), "lost": len(found.lost),
                "wrong": len(found.wrong), "doubled": len(found.doubled),
                "undeleted": len(found.undeleted), "litter": found.litter,
            }  # fmt: skip
            for column in counts:
                table.add_column(column)
            table.add_row(*map(str, counts.values()))
            console.print(table)
            console.print("statuses", clients.statuses, "files", files)
            for kind, ids in asdict(found).items():
                if ids:
                    console.print(kind, sorted(ids)[:5] if isinstance(ids, set) else ids)
            figures["kills"] = {**counts, "statuses": clients.statuses}
        table = Table(title="where nothing can be written")
        for column in (
            "situation", "accepted", "refused", "states", "404", "404 after restart", "ready",
        ):  # fmt: skip
            table.add_column(column)
        rows = []
        for told in all_broken(checkout, folder) if arguments.only != "kills" else ():
            good &= told.good
            rows.append(asdict(told))
            table.add_row(
                told.what, str(told.accepted), str(told.refused), str(told.states),
                str(told.forgotten), str(told.forgotten_after_restart), str(told.ready),
            )  # fmt: skip
        if rows:
            console.print(table)
        figures["broken"] = rows
    harness.save(arguments.json, figures)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
