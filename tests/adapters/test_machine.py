"""Source: spec api.md 14 to 16."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

from hexfusion.adapters.machine import (
    AfterWork,
    Process,
    bound_operator_caches,
    read_machine,
    read_ram,
    steady_clock,
)
from hexfusion.application.jobs.job import Job
from hexfusion.bootstrap import assemble
from hexfusion.domain.flags import parse_flags
from tests.conftest import ROOT


def test_ram():
    """Spec api.md 14, row /memory."""
    ram = read_ram()
    assert ram.keys() == {"free", "used", "total"}
    assert 0 < ram["used"] < ram["total"]


def test_machine(monkeypatch):
    """Spec api.md 16: of the environment only what holds no secret."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COMMANDLINE_ARGS", "--api-auth me:secret")
    facts = read_machine()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["Environment"]["OMP_NUM_THREADS"] == "1"
    assert "secret" not in json.dumps(facts)
    assert any(each.startswith("falcon==") for each in facts["Packages"])


def process(told, environ):
    return Process(
        environ, send=lambda *call: told.append(call), leave=lambda code: told.append(code)
    )


def test_stops_as_by_a_signal():
    told = []
    process(told, {}).stop()
    assert told == [(os.getpid(), signal.SIGTERM)]


def test_restarts_if_somebody_waits_for_the_file(tmp_path):
    told, marker = [], tmp_path / "tmp" / "restart"
    assert process(told, {"SD_WEBUI_RESTART": str(marker)}).restart()
    assert marker.is_file()
    assert told == [(os.getpid(), signal.SIGTERM)]


def test_does_not_restart_where_nobody_waits():
    told = []
    assert not process(told, {}).restart()
    assert told == []


def test_leaves_at_once():
    told = []
    process(told, {}).kill()
    assert told == [0]


def test_large_pictures_leave_no_memory_behind():
    """What they are made of is beyond what glibc keeps, 32 MiB; as measured by
    benchmarks/hostile_pictures.py. In a process of its own, since it holds for all of one."""
    program = (
        "from hexfusion.adapters.machine import return_large_pictures; from PIL import _imaging\n"
        "return_large_pictures(); print(_imaging.get_block_size())"
    )
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(told.stdout) > 32 * 2**20


#: Eight threads that take and free memory at once; how many heaps glibc tells of afterwards.
HEAPS = """\
import ctypes, threading
{first}
gate = threading.Barrier(8)
def work():
    gate.wait()
    kept = [bytes(4000) for _ in range(500)]
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[each.start() for each in threads], [each.join() for each in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_threads_share_what_is_freed():
    def heaps(first: str) -> int:
        command = [sys.executable, "-c", HEAPS.format(first=first)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.count(
            "<heap nr="
        )

    assert heaps("") > 2
    sharing = "from hexfusion.adapters.machine import share_freed_memory; share_freed_memory()"
    assert 1 <= heaps(sharing) <= 2


#: Frees memory below what is still in use; bytes of RSS before and after.
HOLES = """\
import psutil
from hexfusion.adapters.machine import return_freed_memory
kept = [bytes(1000) if n % 100 else None for n in range(200_000)]
last = bytes(1000)
used = psutil.Process().memory_info
kept.clear()
blocks = [[bytes(20_000) for _ in range(10_000)], bytes(20_000)]
blocks[0].clear()
before = used().rss
return_freed_memory()
print(before, used().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps it")
def test_freed_memory_is_returned():
    command = [sys.executable, "-c", HOLES]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    before, after = map(int, told.split())
    assert after < before - 100 * 2**20


def test_what_torch_keeps_of_shapes_is_bounded_unless_the_operator_says_otherwise():
    environ = {"LRU_CACHE_CAPACITY": "7"}
    bound_operator_caches(environ)
    assert environ == {"LRU_CACHE_CAPACITY": "7", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}


def test_it_is_bounded_before_torch_is_there():
    program = (
        "import os, sys; from hexfusion.adapters import machine; "
        "from hexfusion.domain.flags import parse_flags; import hexfusion.bootstrap; "
        "machine.prepare(parse_flags([], {}, absolute=str)); "
        "print(sys.modules.get('torch') is not None, os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'])"
    )
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.split() == ["False", "256"]


class Tidying:
    """Counts its calls."""

    def __init__(self):
        self.calls = 0
        self.called = threading.Event()

    def __call__(self):
        self.calls += 1
        self.called.set()


def until(true):
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_memory_is_returned_after_work_and_seldom_for_much_work():
    tidy = Tidying()
    after_work = AfterWork(tidy, seconds=[0.1])
    after_work()
    until(lambda: tidy.calls == 1)
    for _ in range(100):
        after_work()
    until(lambda: tidy.calls >= 3)  # for the first of them, and for the rest
    time.sleep(0.3)
    calls = tidy.calls
    assert calls < 20
    after_work()
    until(lambda: tidy.calls == calls + 1)


def test_the_last_return_is_after_the_last_work():
    """Not just for the first that ended, while the reply of the last is still being sent."""
    ended, seen = [0], []
    after_work = AfterWork(lambda: seen.append(ended[0]), seconds=[0.05])
    for number in range(1, 8):
        ended[0] = number
        after_work()
        time.sleep(0.01)
    ended[0] = "sent"
    until(lambda: seen and seen[-1] == "sent")


def test_it_is_done_again_for_what_took_longer():
    tidy = Tidying()
    AfterWork(tidy, seconds=[0.0, 0.05])()
    until(lambda: tidy.calls == 2)


def test_it_is_done_after_every_job_of_the_server():
    """Whatever becomes of it."""
    tidy = Tidying()
    flags = parse_flags(["--backend", "fake"], {}, absolute=str)
    container = assemble(flags, after_work=AfterWork(tidy, seconds=[0.0]))
    jobs = container.jobs()
    with jobs.admit(Job("txt2img", time.time)):
        assert tidy.calls == 0
    assert tidy.called.wait(10)
    tidy.called.clear()
    with pytest.raises(ValueError, match="no"), jobs.admit(Job("txt2img", time.time)):
        raise ValueError("no")
    assert tidy.called.wait(10)


def test_the_clock_of_jobs_does_not_jump_when_the_time_is_set(monkeypatch):
    """Durations would be negative, and every finished job outdated at once."""
    started = time.time()
    clock = steady_clock()
    assert abs(clock() - started) < 5
    monkeypatch.setattr(time, "time", lambda: started + 10 * 365 * 86400)
    first = clock()
    assert abs(first - started) < 60
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock() - first < 60
