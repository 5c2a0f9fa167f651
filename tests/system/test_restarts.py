"""Servers that are killed, and folders that nothing can be written to.

The same 200 times, and more of it: `python -m benchmarks.hostile_restarts`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.hostile_restarts import broken, killed
from benchmarks.restarting import Server
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from tests.conftest import ROOT

pytestmark = pytest.mark.waits


def test_a_killed_server_loses_no_job_and_does_none_twice(tmp_path: Path) -> None:
    clients, files = killed(ROOT, tmp_path, kills=3, seed=5)
    assert clients.found.good, clients.found
    assert files and sum(job.accepted for job in clients.jobs.values())


def test_in_a_deleted_folder_no_accepted_job_is_unknown(tmp_path: Path) -> None:
    told = broken("deleted", ROOT, tmp_path, tmp_path / "jobs", shutil.rmtree, None)
    assert told.forgotten == 0
    assert told.accepted == sum(told.states.values())
    assert told.states.keys() <= {"failed", "done"}
    assert told.refused == {"507": 40 - told.accepted}
    assert told.ready == 503


def test_a_folder_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    data = harness.data_directory(tmp_path / "data", harness.STARTER)
    (tmp_path / "file").write_bytes(b"")
    server = Server(ROOT, data, tmp_path / "file")
    assert not server.start()
    assert server.process and server.process.returncode == 2
    assert f"hexfusion: --job-dir: {tmp_path / 'file'}" in server.log()


def test_a_second_server_on_the_same_folder_ends_at_once(tmp_path: Path) -> None:
    data = harness.data_directory(tmp_path / "data", harness.STARTER)
    first = Server(ROOT, data, tmp_path / "jobs")
    assert first.start()
    second = Server(ROOT, data, tmp_path / "jobs")
    assert not second.start()
    assert "another server uses it" in second.log()
    assert first.stop() == 0
    assert second.start()  # the lock went with the process
    second.kill()


@pytest.mark.parametrize("word", ["later", ""])
def test_what_a_restart_does_is_one_of_two(word: str) -> None:
    command = [sys.executable, "-m", "hexfusion.bootstrap", "--on-restart", word]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    assert "--on-restart: must be one of requeue, fail" in told.stderr


def test_jobs_and_board_have_the_steady_clock(tmp_path: Path) -> None:
    flags = bootstrap.parse_flags(["--data-dir", str(tmp_path)], {}, absolute=os.path.abspath)
    container = bootstrap.assemble(flags, backend=FakeInference(0.0, read_file))
    clock = container.steady_clock()
    assert container.jobs()._clock is clock
    assert container.board()._clock is clock
    assert container.txt2img()._clock is clock
    assert container.studio()._clock is clock
