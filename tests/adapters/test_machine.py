"""Source: spec api.md 14 to 16."""

import json
import os
import platform
import signal
import subprocess
import sys

import pytest

from hexfusion.adapters.machine import Process, read_machine, read_ram
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
