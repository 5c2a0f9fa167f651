"""Requests at the same time. The same over real networks: benchmarks/concurrency.py."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from benchmarks.concurrency import Latency, ask, ask_at_once, orders, polling
from benchmarks.harness import Client, Reply, order
from benchmarks.hostile import Raw, raw_cases, send
from tests.system.conftest import Serve


def test_pictures_are_the_same_alone_and_together_while_progress_answers(serve: Serve) -> None:
    wanted = orders(8, size=64, steps=10)
    latencies: list[Latency] = []
    with serve("--slots", "2", seconds_per_step=0.02) as port:
        alone = [ask(port, each) for each in wanted]
        with polling(port, "with preview", latencies):
            together = ask_at_once(port, wanted)
    assert together == alone
    assert len({images[0] for images, _ in alone}) == 8
    (latency,) = latencies
    assert latency.while_busy >= 5
    assert latency.median < 0.1


def test_progress_finds_a_thread_while_slots_and_queue_are_full(serve: Serve) -> None:
    """Two jobs of half a second run and two wait; one more is sent away with 429."""
    latencies: list[Latency] = []
    flags = ("--slots", "2", "--queue", "2", "--queue-per-user", "2")
    with serve(*flags, seconds_per_step=0.05) as port:

        def start(wanted: Mapping[str, object]) -> Reply:
            return Client(port).ask("POST", "/sdapi/v1/txt2img", wanted)

        with polling(port, "without preview", latencies), ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(start, orders(12, size=64, steps=10)))
    served = [reply for reply in replies if reply.status == 200]
    sent_away = [reply for reply in replies if reply.status == 429]
    assert len(served) >= 4
    assert len(served) + len(sent_away) == 12
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in sent_away)
    assert sent_away
    # Waiting for a job's thread would take as long as a job.
    assert latencies[0].worst < 0.5


def test_a_client_that_leaves_frees_its_slot(serve: Serve) -> None:
    (leaving,) = (case for case in raw_cases() if case.name == "1000 steps asked for, then gone")
    assert isinstance(leaving, Raw)
    with serve(seconds_per_step=0.1) as port:  # its job would take 100 seconds
        send(port, leaving)
        started = time.monotonic()
        ask(port, order(steps=1))
        assert time.monotonic() - started < 10
