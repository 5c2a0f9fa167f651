"""schemathesis over the whole OpenAPI document, against a running server with the fake backend.

python -m tests.schema.fuzz [--cases N] [--examples N] [--seed N] [-- OPTIONS OF SCHEMATHESIS]

Every route is asked with what its schema allows and with what it does not. No answer may be a 5xx
but those that `checks.py` lists, and every answer has to be as the document says: status, media
type, headers, schema. schemathesis comes from PyPI into build/schemathesis, which git ignores;
where it cannot be had, that is said. Exit status 1 if there is a finding, or too few cases.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import harness

HERE = Path(__file__).resolve().parent
BUILD = harness.ROOT / "build/schemathesis"
WANTED = "schemathesis==4.32.5"


def install() -> str | None:
    """Get schemathesis, unless it is there already; the reason where it cannot be had."""
    stamp = BUILD / "installed"
    if stamp.is_file() and stamp.read_text() == WANTED:
        return None
    for command in (
        [sys.executable, "-m", "venv", str(BUILD)],
        [str(BUILD / "bin/python"), "-m", "pip", "install", "-q", WANTED],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
    stamp.write_text(WANTED)
    return None


def run(port: int, options: Sequence[str]) -> tuple[int, int]:
    """schemathesis' exit status, and how many cases it ran."""
    url = f"http://127.0.0.1:{port}"
    command = [str(BUILD / "bin/st"), "--config-file", "schemathesis.toml", "run"]
    process = subprocess.Popen(
        [*command, f"{url}/openapi.json", *options],
        cwd=HERE,
        env={**os.environ, "HEXFUSION_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    cases = 0
    assert process.stdout
    for line in process.stdout:
        print(line, end="", flush=True)
        if told := re.match(r"\s*(\d+) generated", line):
            cases = int(told[1])
    return process.wait(), cases


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="at least so many")
    parser.add_argument("--examples", type=int, default=500, help="random ones, a route")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rest", nargs="*", help="options of `st run`")
    arguments = parser.parse_args(argv)
    if reason := install():
        print(f"skipped, since schemathesis cannot be had here: {reason}")
        return 0
    options = ["--max-examples", str(arguments.examples), "--seed", str(arguments.seed)]
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder) / "data", harness.STARTER)
        with harness.server(data, "--backend", "fake") as running:
            status, cases = run(running.port, [*options, *arguments.rest])
            alive = running.process.poll() is None
    print(f"{cases} cases, at least {arguments.cases} were wanted; the server lives on: {alive}")
    return 0 if status == 0 and cases >= arguments.cases and alive else 1


if __name__ == "__main__":
    sys.exit(main())
