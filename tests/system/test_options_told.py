"""What the process itself says because of its options."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hexfusion import bootstrap
from tests.architecture.source import ROOT


@contextmanager
def started(data: Path, **options: object) -> Iterator["subprocess.Popen[str]"]:
    """A server process over the settings file given."""
    (data / "config.json").write_text(json.dumps(options), "utf-8")
    command = [sys.executable, "-m", bootstrap.__name__]
    flags = ["--backend", "fake", "--port", "0", "--data-dir", str(data)]
    with subprocess.Popen(
        [*command, *flags, "--skip-load-model-at-start"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            yield process
        finally:
            guard.cancel()
            process.kill()


def until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "ready: " in line:
            return said
    raise AssertionError(f"it never got ready: {said}")


def test_stored_options_without_effect_are_told_at_start(tmp_path: Path) -> None:
    """As A1111's own settings file may have them (spec api.md 17.6)."""
    with started(tmp_path, ddim_discretize="quad", jpeg_quality=90, pin_memory=False) as process:
        (line,) = [each for each in until_ready(process).splitlines() if "without effect" in each]
    assert "ddim_discretize" in line
    assert "jpeg_quality" not in line and "pin_memory" not in line


def test_stacks_are_told_on_a_signal_where_the_option_asks_for_them(tmp_path: Path) -> None:
    """Spec api.md 17.4: `dump_stacks_on_signal`."""
    said = []
    for asked in (True, False):
        with started(tmp_path, dump_stacks_on_signal=asked) as process:
            until_ready(process)
            process.send_signal(signal.SIGINT)
            said.append(process.communicate(timeout=60)[1])
            assert process.returncode == 0
    assert "most recent call first" in said[0] and "stop_jobs" in said[0]
    assert "most recent call first" not in said[1]
