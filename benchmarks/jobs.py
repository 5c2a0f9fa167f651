"""16 jobs from 4 clients at once: does each see, stop and get only its own?

python -m benchmarks.jobs [--slots 2] [--threads N] [--size 128] [--steps 12] [--json FILE]

Each client has a login and four jobs; half of the jobs are waited for, half left behind
(`Prefer: respond-async`), and every one is polled for its own progress. One is cancelled while it
runs, one while it waits. Exit status 1 unless nobody sees anything of others, the running one stops
within two steps, the waiting one never starts, and all others are what they are alone.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.table import Table

from benchmarks import harness
from benchmarks.concurrency import PROMPTS, SAMPLERS
from benchmarks.harness import Client, Reply, order

CLIENTS, JOBS = 4, 4
#: For the server's flag: every client's login, with its password.
LOGINS = ",".join(f"client{number}:secret{number}" for number in range(CLIENTS))
TXT2IMG = "/sdapi/v1/txt2img"
#: Seconds from one poll to the next; the longest anything here may take.
INTERVAL, PATIENCE = 0.02, 600.0


@dataclass
class Seen:
    """One job, and what its client saw of it. Steps are how one job is told from another."""

    id: str
    client: int
    left_behind: bool
    wanted: dict[str, Any]
    to_be_cancelled: str = ""
    alone: Any = None
    status: int = 0
    state: str = ""
    result: Any = None
    polls: int = 0
    while_running: int = 0
    foreign: list[str] = field(default_factory=list)
    stopped_after: int | None = None
    began: bool = True

    @property
    def equal(self) -> bool:
        """Whether it gave what it gives alone, byte for byte."""
        return self.alone is not None and self.alone == self.result

    @property
    def good(self) -> bool:
        """Whether all is as it has to be."""
        if self.foreign:
            return False
        match self.to_be_cancelled:
            case "running":
                stopped = self.stopped_after is not None and self.stopped_after <= 2
                return self.state == "cancelled" and stopped
            case "waiting":
                return self.state == "cancelled" and not self.began
        return self.state == "done" and self.equal and self.while_running > 0


def jobs(size: int, steps: int) -> list[Seen]:
    """Sixteen that differ in prompt, seed, sampler and number of steps, the clients' in turn."""
    found = []
    for number in range(CLIENTS * JOBS):
        client = number % CLIENTS
        wanted = order(
            prompt=PROMPTS[number % len(PROMPTS)],
            sampler_name=SAMPLERS[number % len(SAMPLERS)],
            seed=2000 + number,
            width=size,
            height=size,
            steps=steps + number,
        )
        id = f"task(client{client}-{number})"
        found.append(Seen(id, client, left_behind=client >= CLIENTS // 2, wanted=wanted))
    first, last = found[2], found[-3]
    first.to_be_cancelled, last.to_be_cancelled = "running", "waiting"
    first.wanted["steps"] = 100 + steps  # it shall not end by itself before
    return found


class Caller:
    """A connection of one client's."""

    def __init__(self, port: int, client: int) -> None:
        login = b64encode(f"client{client}:secret{client}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}
        self._client = Client(port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        return self._client.ask(method, path, body, {**self._headers, **headers})

    def close(self) -> None:
        self._client.close()


def picture_and_info(answer: Mapping[str, Any]) -> Any:
    """What has to be equal: pictures as they came, and `info` but for the time of day."""
    info = json.loads(answer["info"])
    for name in ("job_timestamp", "subseed", "all_subseeds"):
        del info[name]
    return answer["images"], info


def prove(port: int, seen: Sequence[Seen]) -> None:
    """First each alone, then all at once. Fills in what was seen."""
    caller = Caller(port, 0)
    for job in seen:
        if not job.to_be_cancelled:
            job.alone = picture_and_info(caller.ask("POST", TXT2IMG, job.wanted).json())
    caller.close()
    with ThreadPoolExecutor(2 * len(seen) + 2) as pool:
        begun = []
        for job in seen:
            over = threading.Event()
            begun.append(pool.submit(do, port, job, over))
            begun.append(pool.submit(poll, port, job, seen, over))
            wait_until(lambda job=job: known(port, job))
        by_purpose = {job.to_be_cancelled: job for job in seen}
        begun.append(pool.submit(cancel, port, by_purpose["waiting"], "queued", 0))
        begun.append(pool.submit(cancel, port, by_purpose["running"], "running", 2))
        for each in begun:
            each.result(PATIENCE)
    for job in seen:
        settle(port, job)


def path_of(job: Seen) -> str:
    return f"/v1/jobs/{quote(job.id)}"


def wait_until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > deadline:
            raise RuntimeError("it took too long")
        time.sleep(INTERVAL)


def known(port: int, job: Seen) -> bool:
    caller = Caller(port, job.client)
    status = caller.ask("GET", path_of(job)).status
    caller.close()
    return status == 200


def do(port: int, job: Seen, over: threading.Event) -> None:
    """Ask for the job, and wait until it is over."""
    caller = Caller(port, job.client)
    try:
        wanted = {**job.wanted, "force_task_id": job.id}
        headers = {"Prefer": "respond-async"} if job.left_behind else {}
        reply = caller.ask("POST", TXT2IMG, wanted, **headers)
        job.status = reply.status
        if job.left_behind:
            wait_until(lambda: not under_way(caller, job))
        elif reply.status == 200:
            job.result = picture_and_info(reply.json())
    finally:
        over.set()
        caller.close()


def under_way(caller: Caller, job: Seen) -> bool:
    return caller.ask("GET", path_of(job)).json()["state"] in ("queued", "running")


def poll(port: int, job: Seen, every: Sequence[Seen], over: threading.Event) -> None:
    """Poll the job's own progress; note whatever is another's."""
    caller = Caller(port, job.client)
    others = [each for each in every if each.client != job.client]
    own = {quote(each.id) for each in every if each.client == job.client}
    while not over.wait(INTERVAL):
        reply = caller.ask("GET", f"/sdapi/v1/progress?id_task={quote(job.id)}")
        if reply.status == 404 and not job.polls:
            continue  # it is not there yet
        state = reply.json().get("state", {})
        job.polls += 1
        job.while_running += bool(state.get("sampling_steps"))
        if reply.status != 200 or state["sampling_steps"] not in (0, job.wanted["steps"]):
            job.foreign.append(f"{reply.status} {reply.body[:200]!r}")
        # Under another's id there is nothing, and in no list is anything of others.
        other = others[job.polls % len(others)]
        for path in (f"/sdapi/v1/progress?id_task={quote(other.id)}", path_of(other)):
            if caller.ask("GET", path).status != 404:
                job.foreign.append(path)
        listed = {quote(each["id"]) for each in caller.ask("GET", "/v1/jobs").json()["jobs"]}
        pending = set(map(quote, caller.ask("GET", "/internal/pending-tasks").json()["tasks"]))
        job.foreign += sorted((listed | pending) - own)
    caller.close()


def cancel(port: int, job: Seen, state: str, step: int) -> None:
    """Cancel it once it is in that state and so far, and note how many steps it still made."""
    caller = Caller(port, job.client)

    def there() -> bool:
        now = caller.ask("GET", path_of(job)).json()
        return now["state"] == state and now["step"] >= step

    wait_until(there)
    at = caller.ask("DELETE", path_of(job)).json()["step"]
    wait_until(lambda: not under_way(caller, job))
    job.stopped_after = caller.ask("GET", path_of(job)).json()["step"] - at
    caller.close()


def settle(port: int, job: Seen) -> None:
    """How it ended, and for those left behind, what came of it."""
    caller = Caller(port, job.client)
    ended = caller.ask("GET", path_of(job)).json()
    job.state, job.began = ended["state"], ended["started_at"] is not None
    if job.left_behind and ended["result"]:
        job.result = picture_and_info(ended["result"])
    caller.close()


def table_of(seen: Sequence[Seen]) -> Table:
    table = Table(title=f"{len(seen)} jobs from {CLIENTS} clients at once")
    for column in ("client", "asked for", "steps", "ended", "polls", "while it ran"):
        table.add_column(column)
    for column in ("saw of others", "stopped after", "as alone", "good"):
        table.add_column(column)
    for job in sorted(seen, key=lambda each: each.client):
        stopped = "" if job.stopped_after is None else f"{job.stopped_after} steps"
        table.add_row(
            str(job.client),
            "left behind" if job.left_behind else "waited for",
            str(job.wanted["steps"]),
            f"{job.state}" + ("" if job.began else ", never began"),
            str(job.polls),
            str(job.while_running),
            str(len(job.foreign)),
            stopped,
            "" if job.to_be_cancelled else "yes" if job.equal else "[bold red]no[/]",
            "yes" if job.good else "[bold red]no[/]",
        )
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slots", type=int, default=2, help="of the server: jobs running at once")
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12, help="of the shortest job")
    parser.add_argument("--checkpoint", type=Path, default=harness.STARTER)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    flags = ["--slots", str(arguments.slots), "--api-auth", LOGINS]
    flags += ["--threads", str(arguments.threads)] if arguments.threads else []
    seen = jobs(arguments.size, arguments.steps)
    console = harness.console()
    console.print(harness.machine())
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), arguments.checkpoint)
        with harness.server(data, *flags) as running:
            started = time.perf_counter()
            prove(running.port, seen)
            seconds = time.perf_counter() - started
    console.print(table_of(seen))
    good = sum(job.good for job in seen)
    console.print(f"{good} of {len(seen)} as they have to be, in {seconds:.1f} s")
    figures = [
        {name: value for name, value in asdict(job).items() if name not in ("alone", "result")}
        | {"equal": job.equal, "good": job.good}
        for job in seen
    ]
    harness.save(arguments.json, {"jobs": figures, "seconds": seconds})
    return 0 if good == len(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
