"""Requests that mean to take all the memory there is, each on a server of its own.

python -m benchmarks.hostile_memory [--only PATTERN ...] [--checkout DIR] [--json FILE]

The fake backend draws, so that what is measured is what the server holds: pictures that wait,
replies, caches, failed jobs. `--checkout` runs the package of another checkout, for a "before".
A server that grows beyond 5 GB is killed, and the table says so. Exit status 1 if an attack takes
more than `LIMIT`, or anything is answered 5xx that is no 507.
"""

import argparse
import fnmatch
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import psutil
from PIL import Image
from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Client, Reply

#: What no valid request, and no 50 that wait, may exceed, in bytes; and where the watchdog kills.
LIMIT, DEADLY = 2 << 30, 5 << 30
#: Seconds between two looks at the memory, for an answer, and of idleness before the last look.
INTERVAL, PATIENCE, REST = 0.02, 300, 4.0

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
EXTRAS, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
INTERROGATE, PNG_INFO = "/sdapi/v1/interrogate", "/sdapi/v1/png-info"
ASYNC = {"Prefer": "respond-async"}

#: Seconds that the fake takes for a step, so that a job can hold the slot.
PACE = 0.02
_START = (
    "import sys; from hexfusion.adapters.gpu import fake;"
    f"fake.FakeInference.__init__.__defaults__ = ({PACE}, fake.read_nothing);"
    "from hexfusion.bootstrap import main; sys.exit(main(sys.argv[1:]))"
)


class Target:
    """A server under attack."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[str] = Counter()
        self.slowest_refusal = 0.0

    def ask(self, path: str, body: object, **headers: str) -> Reply | None:
        """Send a request and note its status; None if the connection broke."""
        client = Client(self.port, timeout=PATIENCE)
        try:
            reply = client.ask("POST", path, body, headers)
        except (OSError, http.client.HTTPException):
            self.statuses["broken"] += 1
            return None
        finally:
            client.close()
        self.statuses[str(reply.status)] += 1
        if reply.status == 429:
            self.slowest_refusal = max(self.slowest_refusal, reply.seconds)
        return reply

    def all_at_once(self, path: str, bodies: Sequence[object], **headers: str) -> None:
        """Send them side by side, and wait for every answer."""
        with ThreadPoolExecutor(len(bodies)) as pool:
            list(pool.map(lambda body: self.ask(path, body, **headers), bodies))

    @contextmanager
    def slot_taken(self) -> Iterator[None]:
        """A job holds the only slot for the `with` block."""
        held = dict(steps=150, n_iter=1000, batch_size=1, width=64, height=64)
        thread = threading.Thread(target=self.quiet, args=(TXT2IMG, held))
        thread.start()
        time.sleep(0.5)
        try:
            yield
        finally:
            self.quiet("/sdapi/v1/interrupt", {})
            thread.join(PATIENCE)

    def quiet(self, path: str, body: object) -> None:
        """A request that does not count."""
        client = Client(self.port, timeout=PATIENCE)
        try:
            client.ask("POST", path, body)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            client.close()


@dataclass(frozen=True)
class Attack:
    """`run` attacks a server that was started with `flags`."""

    name: str
    run: Callable[[Target], None]
    flags: tuple[str, ...] = ()


@dataclass
class Seen:
    """What an attack did. Memory is in MB."""

    name: str
    peak: float = 0.0
    after: float = 0.0
    seconds: float = 0.0
    refusal: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    killed: bool = False


@cache
def picture(mode: str, width: int, height: int, noise: bool = False) -> str:
    """A PNG in base64: of one colour, so small in bytes, or of noise, so large."""
    if noise:
        image = Image.frombytes(mode, (width, height), os.urandom(width * height * len(mode)))
    else:
        image = Image.new(mode, (width, height))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1 if noise else 6)
    return b64encode(file.getvalue()).decode()


def img2img(*pictures: str, **fields: object) -> dict[str, object]:
    small = dict(steps=1, width=64, height=64, denoising_strength=0.5)
    return {**small, "init_images": list(pictures), **fields}


LARGEST = ("RGBA", 8192, 8192)


def bombs_that_wait(to: Target) -> None:
    with to.slot_taken():
        body = json.dumps(img2img(picture(*LARGEST))).encode()
        threads = [threading.Thread(target=to.ask, args=(IMG2IMG, body)) for _ in range(16)]
        for each in threads:
            each.start()
        time.sleep(20)
        to.quiet("/sdapi/v1/interrupt", {})
    for each in threads:
        each.join(PATIENCE)


def bombs_of_one_request(to: Target) -> None:
    with to.slot_taken():
        body = img2img(*[picture(*LARGEST)] * 4)
        to.all_at_once(IMG2IMG, [body], Prefer="respond-async")
        time.sleep(3)


def decoded_for_a_refusal(to: Target) -> None:
    with to.slot_taken():
        to.all_at_once(IMG2IMG, [img2img(*[picture(*LARGEST)] * 2)] * 8)


def bombs_for_extras(to: Target) -> None:
    with to.slot_taken():
        listed = [{"data": picture(*LARGEST), "name": ""}] * 2
        to.all_at_once(BATCH, [{"imageList": listed}] * 4, Prefer="respond-async")
        to.all_at_once(INTERROGATE, [{"image": picture(*LARGEST)}] * 8, Prefer="respond-async")
        time.sleep(3)


def fifty_that_wait(to: Target) -> None:
    body = json.dumps(img2img(picture("RGB", 1448, 1448, True))).encode()
    with to.slot_taken():
        threads = [threading.Thread(target=to.ask, args=(IMG2IMG, body)) for _ in range(50)]
        for each in threads:
            each.start()
        time.sleep(10)
    for each in threads:
        each.join(PATIENCE)


def fifty_of_the_largest_bodies(to: Target) -> None:
    text = picture("RGB", 4000, 4000, True)[: 63 << 20]
    body = json.dumps(img2img(text[: len(text) // 4 * 4])).encode()
    with to.slot_taken(), ThreadPoolExecutor(50) as pool:
        sent = [pool.submit(to.ask, IMG2IMG, body, **ASYNC) for _ in range(50)]
        for each in sent:
            each.result()
        time.sleep(2)


def prompts_times_pictures(to: Target) -> None:
    body = {"prompt": "a" * 16_384, "batch_size": 128, "n_iter": 1000, "steps": 1}
    to.ask(TXT2IMG, {**body, "width": 8, "height": 8})


def pinned_cache(to: Target) -> None:
    to.ask("/sdapi/v1/options", {"upscaling_max_images_in_cache": 1000})
    for number in range(24):
        text = picture("RGB", 1024 - number, 1024)
        to.ask(EXTRAS, {"image": text, "upscaler_1": "Nearest", "upscaling_resize": 4})


def failing_jobs(to: Target) -> None:
    """Too wide for resize mode 3, which the job finds when it runs."""
    body = img2img(picture(*LARGEST), resize_mode=3)
    for _ in range(12):
        to.ask(IMG2IMG, body, **ASYNC)
        time.sleep(1)


def cancelled_jobs(to: Target) -> None:
    body = img2img(picture("RGB", 1448, 1448, True))
    with to.slot_taken():
        for _ in range(100):
            reply = to.ask(IMG2IMG, body, **ASYNC)
            if reply is not None and reply.status == 202:
                client = Client(to.port, timeout=PATIENCE)
                client.ask("DELETE", f"/v1/jobs/{reply.json()['id']}")
                client.close()


def large_replies(to: Target) -> None:
    body = dict(steps=1, width=64, height=64, denoising_strength=0.0)
    body = {
        **body,
        "init_images": [picture("RGB", 1024, 1024, True)],
        "width": 1024,
        "height": 1024,
    }
    data = json.dumps(body).encode()
    for _ in range(5):
        to.all_at_once(IMG2IMG, [data] * 40)


def of_strangers(to: Target) -> None:
    body = b'{"init_images": ["' + b"A" * (50 << 20) + b'"]}'
    to.all_at_once(IMG2IMG, [body] * 12)


def one(path: str, **body: object) -> Callable[[Target], None]:
    def run(to: Target) -> None:
        made = {name: each() if callable(each) else each for name, each in body.items()}
        to.ask(path, made)

    return run


def largest() -> str:
    return picture(*LARGEST)


def noisy() -> str:
    return picture("RGB", 3900, 3900, True)


INPAINTED = dict(steps=1, width=512, height=512, inpaint_full_res=True, denoising_strength=0.5)

ATTACKS = (
    Attack("16 requests wait, 67 MP each", bombs_that_wait),
    Attack("one waits, 4 x 67 MP", bombs_of_one_request),
    Attack("8 x 134 MP for a full queue", decoded_for_a_refusal, ("--queue", "0")),
    Attack("extras and interrogate wait", bombs_for_extras),
    Attack("50 wait, 6 MB each", fifty_that_wait),
    Attack("50 wait, 63 MB each", fifty_of_the_largest_bodies),
    Attack("16 KB of prompt x 128 x 1000", prompts_times_pictures),
    Attack("24 pictures of 4096 x 4096 cached", pinned_cache),
    Attack("12 failing async jobs, 67 MP", failing_jobs),
    Attack("100 cancelled async jobs, 6 MB", cancelled_jobs),
    Attack("200 replies of 4 MB, 40 at once", large_replies, ("--queue", "64")),
    Attack("12 strangers, 50 MB each", of_strangers, ("--api-auth", "me:secret")),
    Attack("single: img2img 67 MP", one(IMG2IMG, init_images=lambda: [largest()], steps=1)),
    Attack(
        "single: img2img 67 MP, mask 67 MP",
        one(IMG2IMG, init_images=lambda: [largest()], mask=largest, **INPAINTED),
    ),
    Attack(
        "single: img2img 67 MP, mask of half",
        one(
            IMG2IMG,
            init_images=lambda: [largest()],
            mask=lambda: half_masked(),
            **INPAINTED,
        ),
    ),
    Attack("single: img2img 15 MP of noise", one(IMG2IMG, init_images=lambda: [noisy()], steps=1)),
    Attack("single: extras 67 MP", one(EXTRAS, image=largest)),
    Attack(
        "single: extras 17 to 67 MP",
        one(
            EXTRAS,
            image=lambda: picture("RGBA", 4096, 4096),
            upscaler_1="Lanczos",
            upscaler_2="Nearest",
            extras_upscaler_2_visibility=0.5,
            upscaling_resize=2,
        ),
    ),
    Attack(
        "single: extras batch 2 x 67 MP",
        one(BATCH, imageList=lambda: [{"data": largest(), "name": ""}] * 2),
    ),
    Attack(
        "single: extras noise 15 to 61 MP",
        one(EXTRAS, image=noisy, upscaler_1="Nearest", upscaling_resize=2),
    ),
    Attack("single: interrogate 67 MP", one(INTERROGATE, image=largest)),
    Attack("single: png-info 67 MP", one(PNG_INFO, image=largest)),
)


@cache
def half_masked() -> str:
    image = Image.new("L", LARGEST[1:])
    image.paste(255, (100, 100, 8000, 4000))
    file = io.BytesIO()
    image.save(file, "PNG")
    return b64encode(file.getvalue()).decode()


class Watchdog(threading.Thread):
    """Looks at a process's memory, and kills it beyond `DEADLY`."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._over = threading.Event()
        self.peak = 0
        self.killed = False

    def run(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                used = self._process.memory_info().rss
                self.peak = max(self.peak, used)
                if used > DEADLY:
                    self.killed = True
                    self._process.kill()
                    return
            except psutil.NoSuchProcess:
                return

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def server(
    checkout: Path, folder: Path, flags: Sequence[str]
) -> Iterator[tuple[int, psutil.Process]]:
    """The server of a checkout, on a free port."""
    package = folder / "package"
    package.mkdir()
    (package / "hexfusion").symlink_to(checkout, target_is_directory=True)
    data = harness.data_directory(folder / "data", harness.STARTER)
    port, log = harness.free_port(), folder / "server.log"
    command = [sys.executable, "-c", _START, "--backend", "fake", "--data-dir", str(data)]
    command += ["--port", str(port), *flags]
    environ = {**os.environ, "PYTHONPATH": str(package)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        harness.wait_until_up(process, port, log)
        yield port, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def measure(attack: Attack, checkout: Path) -> Seen:
    seen = Seen(attack.name)
    with (
        tempfile.TemporaryDirectory(prefix="hexfusion-memory-") as folder,
        server(checkout, Path(folder), attack.flags) as (port, process),
    ):
        target, dog = Target(port), Watchdog(process)
        dog.start()
        started = time.monotonic()
        attack.run(target)
        seen.seconds = time.monotonic() - started
        time.sleep(REST)
        dog.end()
        seen.killed, seen.peak = dog.killed, dog.peak / 1e6
        if not dog.killed:
            seen.after = process.memory_info().rss / 1e6
    seen.refusal, seen.statuses = target.slowest_refusal, dict(sorted(target.statuses.items()))
    return seen


def table(results: Sequence[Seen]) -> Table:
    made = Table("attack", "peak MB", "after MB", "seconds", "slowest 429", "answers")
    for each in results:
        made.add_row(
            each.name,
            "killed at 5 GB" if each.killed else f"{each.peak:.0f}",
            "-" if each.killed else f"{each.after:.0f}",
            f"{each.seconds:.1f}",
            f"{each.refusal:.2f}" if each.refusal else "-",
            ", ".join(f"{count} x {status}" for status, count in each.statuses.items()),
        )
    return made


def held(seen: Seen) -> bool:
    """Whether the server held."""
    wrong = [status for status in seen.statuses if status.startswith("5") and status != "507"]
    return not seen.killed and seen.peak * 1e6 <= LIMIT and not wrong


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="by name")
    parser.add_argument("--checkout", type=Path, default=harness.ROOT, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    results = []
    for attack in ATTACKS:
        if any(fnmatch.fnmatch(attack.name, pattern) for pattern in asked.only):
            results.append(measure(attack, asked.checkout.resolve()))
            print(attack.name, asdict(results[-1]), file=sys.stderr, flush=True)
    harness.console().print(table(results))
    harness.save(asked.json, {"attacks": [asdict(each) for each in results]})
    return 0 if all(map(held, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
