"""Those who wait for a checkpoint to load, or for files to be looked for: few, so that who reads
always finds a thread."""

import http.client
import json
import os
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from dependency_injector.providers import Singleton
from safetensors.numpy import save_file

from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.http.serving.server import ROOMS, Server, threads_for
from hexfusion.adapters.storage.catalogues.checkpoints_memory import MemoryCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.vaes import VaeFile

#: Only a broken server lets one wait that long, seconds.
PATIENCE = 60.0
#: Within this one must be told how far a job is, whatever else goes on, seconds.
SOON = 10.0
CLIENTS = 90


class Slow:
    """Something that is begun, and not done before it is let."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._one = threading.Lock()

    def __call__(self) -> None:
        with self._one:
            self.begun.set()
            assert self.go.wait(PATIENCE)


class SlowInference(FakeInference):
    """Loads and unloads one at a time, as a real backend does, and slowly."""

    def __init__(self, slow: Slow) -> None:
        super().__init__()
        self._slow = slow

    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        self._slow()
        super().load(checkpoint, vae)

    def unload(self) -> None:
        self._slow()
        super().unload()


@contextmanager
def serving(folder: Path, *given: str, **parts: object) -> Iterator[int]:
    models = folder / "models/Stable-diffusion"
    models.mkdir(parents=True)
    for name in ("a", "b"):
        save_file({"weight": np.arange(10, dtype=np.float32)}, models / f"{name}.safetensors")
    words = ["--data-dir", str(folder), "--api-auth", "ann:x,bob:x", *given]
    flags = bootstrap.parse_flags(words, {}, absolute=os.path.abspath)
    container = bootstrap.assemble(flags, **parts)
    threads = threads_for(
        flags.integer("slots"), flags.integer("queue"), flags.integer("loads_waiting")
    )
    app = bootstrap.build_app(container)
    server = Server(app, host="127.0.0.1", port=0, threads=threads, max_body=flags.max_body)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join(PATIENCE)


def ask(
    port: int,
    method: str,
    path: str,
    body: object = None,
    patience: float = PATIENCE,
    user: str = "ann",
) -> tuple[int, str | None, bytes]:
    """Status, Retry-After, and body."""
    login = {"Authorization": "Basic " + b64encode(f"{user}:x".encode()).decode()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, login)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()
    finally:
        connection.close()


OPTIONS = ("/sdapi/v1/options", {"sd_model_checkpoint": "b.safetensors"})
LOADS = [
    [OPTIONS],
    [("/sdapi/v1/reload-checkpoint", None)],
    [OPTIONS, ("/sdapi/v1/reload-checkpoint", None), ("/sdapi/v1/unload-checkpoint", None)],
]


def crowd(
    port: int,
    wanted: list[tuple[str, object]],
    slow: Slow,
    places: int,
    users: tuple[str, ...] = ("ann", "bob"),
) -> None:
    """90 clients at once. So many get in, all others 429, and who reads is answered meanwhile."""
    answers: list[tuple[int, str | None, bytes]] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        try:
            for number in range(CLIENTS):
                path, body = wanted[number % len(wanted)]
                user = users[number % len(users)]
                asked = pool.submit(ask, port, "POST", path, body, user=user)
                asked.add_done_callback(lambda done: answers.append(done.result()))
            assert slow.begun.wait(PATIENCE)
            end = time.monotonic() + SOON
            while len(answers) < CLIENTS - places and time.monotonic() < end:
                time.sleep(0.01)
            for path in ("/sdapi/v1/progress", "/health/ready", "/metrics", "/sdapi/v1/options"):
                assert ask(port, "GET", path, patience=SOON)[0] == 200
            assert ask(port, "POST", "/sdapi/v1/interrupt", patience=SOON)[0] == 200
            refused = list(answers)
        finally:
            slow.go.set()
    assert [status for status, _, _ in refused] == [429] * (CLIENTS - places)
    assert all(int(seconds or 0) >= 1 for _, seconds, _ in refused)
    assert all(b"try again in" in body for _, _, body in refused)
    assert sorted(status for status, _, _ in answers) == [200] * places + [429] * len(refused)


@pytest.mark.parametrize("wanted", LOADS, ids=["options", "reload", "all of them"])
def test_few_wait_for_a_checkpoint_to_load(wanted, tmp_path: Path) -> None:
    slow = Slow()
    with serving(tmp_path, backend=SlowInference(slow)) as port:
        crowd(port, wanted, slow, places=5)


def test_one_user_leaves_places_to_others(tmp_path: Path) -> None:
    slow = Slow()
    with serving(tmp_path, backend=SlowInference(slow)) as port:
        crowd(port, [OPTIONS], slow, places=3, users=("ann",))


def test_how_many_is_the_operators_choice(tmp_path: Path) -> None:
    slow = Slow()
    with serving(tmp_path, "--loads-waiting", "1", backend=SlowInference(slow)) as port:
        crowd(port, [OPTIONS], slow, places=2)
        assert json.loads(ask(port, "GET", "/sdapi/v1/options")[2])["sd_model_checkpoint"][0] == "b"


def test_threads_are_kept_for_every_room() -> None:
    made = [each for each in bootstrap.Container.providers.values() if isinstance(each, Singleton)]
    assert sum(each.provides is bootstrap.made.waiting_room for each in made) == ROOMS


class SlowCatalog(MemoryCatalog):
    slow: Slow | None = None

    def refresh(self, *, hidden: bool = True) -> None:
        if self.slow:
            self.slow()
        super().refresh(hidden=hidden)


def test_few_wait_for_files_to_be_looked_for(tmp_path: Path) -> None:
    catalog = SlowCatalog({"tiny.safetensors": b"x"})
    catalog.slow = slow = Slow()
    with serving(tmp_path, backend=FakeInference(), catalog=catalog) as port:
        crowd(port, [("/sdapi/v1/refresh-checkpoints", None)], slow, places=5)


def test_an_option_that_loads_nothing_does_not_wait_for_one_that_does(tmp_path: Path) -> None:
    slow = Slow()
    with serving(tmp_path, backend=SlowInference(slow)) as port, ThreadPoolExecutor(1) as pool:
        try:
            loading = pool.submit(ask, port, "POST", *OPTIONS)
            assert slow.begun.wait(PATIENCE)
            changed = ask(port, "POST", "/sdapi/v1/options", {"jpeg_quality": 91}, patience=SOON)
            assert changed[0] == 200
        finally:
            slow.go.set()
        assert loading.result()[0] == 200
        options = json.loads(ask(port, "GET", "/sdapi/v1/options")[2])
    assert (options["jpeg_quality"], options["sd_model_checkpoint"][0]) == (91, "b")
