"""One fault at a time, in a copy of the tree: the tests that could see it are run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .choosing import Choice
from .faults import Fault
from .project import Project

#: Test files in one run of pytest: the first runs are small, since the nearest tests mostly see it.
_PILES = (1, 3, 8, 20)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What came of one fault.

    `outcome` is "caught" (`by` a test that passes without the fault), "hung" (`by` a test file that
    did not end), "survived" (all that import the module passed), "time up" (those that were run
    passed, `left` were not), "untested" (no test imports the module) or "unclear" (`by` a test that
    fails without the fault too).
    """

    id: str
    path: str
    line: int
    kind: str
    before: str
    after: str
    outcome: str
    by: str
    files: int
    left: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Bench:
    """A copy of the project, in which faults are planted and taken out again.

    `seconds` is what one fault may take, `pytest` what pytest is told besides.
    """

    def __init__(
        self, project: Project, copy: Path, seconds: float, pytest: Sequence[str] = ()
    ) -> None:
        self._project = project
        self._copy = copy
        self._seconds = seconds
        self._pytest = tuple(pytest)
        self._choice = Choice(project)
        self._sound: dict[str, bool] = {}

    def run(self, fault: Fault) -> Result:
        """Plant it, run tests until one fails or time is up, take it out."""
        tests = self._choice.tests(fault.path, fault.kind)
        file = self._copy / fault.path
        source = file.read_bytes()
        started = time.monotonic()
        file.write_bytes(fault.planted(source))
        try:
            outcome, by, done = self._seen(tests, started + self._seconds)
        finally:
            file.write_bytes(source)
        if outcome == "caught" and not self._is_sound(by):
            outcome = "unclear"
        if outcome == "hung" and not self._is_sound(by):
            outcome, by = "time up", ""
        return Result(
            id=fault.id,
            path=fault.path,
            line=fault.line,
            kind=fault.kind,
            before=fault.before,
            after=fault.after,
            outcome=outcome if tests else "untested",
            by=by,
            files=done,
            left=len(tests) - done,
            seconds=round(time.monotonic() - started, 1),
        )

    def _seen(self, tests: Sequence[str], deadline: float) -> tuple[str, str, int]:
        done = 0
        for pile in _piles(tests):
            left = deadline - time.monotonic()
            if left <= 0:
                return "time up", "", done
            code, said = self._run(pile, left)
            if code is None:
                # Of many files nobody knows which; of one it is known.
                return ("hung", pile[0], done) if len(pile) == 1 else ("time up", "", done)
            done += len(pile)
            if code not in (0, 5):  # 5: nothing was collected
                found = _FAILED.search(said)
                return "caught", found[1] if found else pile[0], done
        return "survived", "", done

    def _is_sound(self, test: str) -> bool:
        """Whether that test passes without any fault, in the same time."""
        if test not in self._sound:
            code, _ = self._run([test], self._seconds)
            self._sound[test] = code in (0, 5)
        return self._sound[test]

    def _run(self, tests: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """pytest's exit code, None if it did not end, and what it said."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["--tb=no", "-rfE", *self._pytest, *tests]
        # Byte code is told from the source by time and size, which a fault may leave as they are.
        told = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if self._project.package:  # the copy goes by that name, wherever another is installed
            told["PYTHONPATH"] = str(self._copy.parent)
        with subprocess.Popen(
            command,
            cwd=self._copy,
            env=told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return None, ""
        return process.returncode, said.decode(errors="replace")


@contextmanager
def bench(project: Project, seconds: float, pytest: Sequence[str] = ()) -> Iterator[Bench]:
    """A bench in a folder that goes afterwards. What lies beside the project lies beside the copy,
    as links: tests may look for recordings there."""
    with TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder, project.package or project.root.name)
        for path in project.files:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.root / path, copy / path, follow_symlinks=False)
        for each in project.root.parent.iterdir():
            if each.name not in (project.root.name, copy.name) and each.name[0] != ".":
                (Path(folder) / each.name).symlink_to(each)
        yield Bench(project, copy, seconds, pytest)


def _piles(tests: Sequence[str]) -> Iterator[Sequence[str]]:
    start = 0
    for size in (*_PILES, *[_PILES[-1]] * len(tests)):
        if pile := tests[start : start + size]:
            yield pile
        start += size
