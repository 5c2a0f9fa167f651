"""Programs written for A1111, unmodified, against a running Hexfusion.

python -m tests.clients.run [--only CLIENT ...] [--server NAME ...] [--json FILE]

The clients come from PyPI and npm, into a throwaway environment (build/clients, which git ignores);
where they cannot be had, that is said, and the others are run. Each has a script here that calls
it as its users do. Exit status 1 if a call did not end as it should.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks import harness

HERE = Path(__file__).resolve().parent
BUILD = harness.ROOT / "build/clients"
PYTHON = BUILD / "venv/bin/python"
#: Seconds that installing may take, SillyTavern to start (it compiles its page), a script to run.
INSTALL_LIMIT, TAVERN_LIMIT, SCRIPT_LIMIT = 900, 240, 900
USER = "anna:s3cret"


@dataclass(frozen=True)
class Script:
    """One client. `passwords`: it can give a name and a password."""

    client: str
    file: str
    passwords: bool = True

    @property
    def ecosystem(self) -> str:
        return "npm" if self.file.endswith(".mjs") else "PyPI"


SCRIPTS = (
    Script("webuiapi", "webuiapi_methods.py"),
    Script("Open WebUI", "open_webui_requests.py"),
    Script("SillyTavern", "sillytavern.mjs"),
    Script("node-sd-webui", "node_sd_webui.mjs", passwords=False),
    Script("stable-diffusion-client", "stable_diffusion_client.mjs", passwords=False),
)


@dataclass(frozen=True)
class Served:
    """A server to run them against, and the sides of the pictures to ask for."""

    name: str
    flags: tuple[str, ...]
    side: int = 64
    auth: str = ""


SERVERS = (
    Served("fake", ("--backend", "fake")),
    Served("fake, password", ("--backend", "fake", "--api-auth", USER), auth=USER),
    Served("starter checkpoint", ("--threads", "1"), side=128),
)


@dataclass(frozen=True)
class Called:
    """A call a script made: `outcome` is "works", "refused as due" or "FAILED"."""

    client: str
    server: str
    call: str
    outcome: str
    says: str = ""


class Absent(Exception):
    """A package cannot be had here."""


def install(ecosystem: str) -> None:
    """Get the clients, unless they are there already. Raises Absent with the reason."""
    BUILD.mkdir(parents=True, exist_ok=True)
    if ecosystem == "PyPI":
        wanted, commands = HERE / "requirements.txt", [
            [sys.executable, "-m", "venv", str(BUILD / "venv")],
            [str(PYTHON), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements.txt")],
        ]  # fmt: skip
    else:
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise Absent("node and npm are not installed")
        # Nothing of what is installed needs its install scripts, so none of them runs.
        wanted, commands = HERE / "package.json", [
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"]
        ]  # fmt: skip
        shutil.copy(wanted, BUILD)
    stamp = BUILD / f"installed-{ecosystem}"
    if stamp.is_file() and stamp.read_text() == wanted.read_text():
        return
    for command in commands:
        try:
            done = subprocess.run(
                command, cwd=BUILD, capture_output=True, text=True, timeout=INSTALL_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise Absent(f"{command[0]} took more than {INSTALL_LIMIT} s") from None
        if done.returncode:
            told = (done.stderr.strip() or done.stdout.strip()).splitlines()
            wrong = [line for line in told if "err" in line.lower()]
            raise Absent(" / ".join((wrong or told)[:2]))
    stamp.write_text(wanted.read_text())


@contextmanager
def silly_tavern(folder: Path) -> Iterator[str]:
    """SillyTavern's server on a free port, with an empty home. Yields its URL. Raises Absent."""
    port = harness.free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = {
        "dataRoot": folder / "data",
        "configPath": folder / "config.yaml",
        "port": port,
        "disableCsrf": "true",
        "browserLaunchEnabled": "false",
    }
    command = ["node", "server.js"]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=BUILD / "node_modules/sillytavern", stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + TAVERN_LIMIT
        while not answers(f"{url}/version"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Absent(f"SillyTavern did not start: {log.read_text()[-300:]}")
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def run(script: Script, served: Served, port: int, environment: Mapping[str, str]) -> list[Called]:
    """All that the script called. A script that ends before its end counts as a failed call."""
    shutil.copy(HERE / script.file, BUILD)
    for shared in ("report.py", "report.mjs"):
        shutil.copy(HERE / shared, BUILD)
    program = "node" if script.ecosystem == "npm" else str(PYTHON)
    told = {
        "HEXFUSION_PORT": str(port),
        "HEXFUSION_AUTH": served.auth,
        "HEXFUSION_SIDE": str(served.side),
    }
    try:
        done = subprocess.run(
            [program, str(BUILD / script.file)],
            cwd=BUILD,
            env={**os.environ, **environment, **told},
            capture_output=True,
            text=True,
            timeout=SCRIPT_LIMIT,
        )
        output, status, errors = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        status, errors = 2, f"not done after {SCRIPT_LIMIT} s"
    lines = [line for line in output.splitlines() if line.startswith('{"call"')]
    calls = [Called(script.client, served.name, **json.loads(line)) for line in lines]
    if status != (1 if any(each.outcome == "FAILED" for each in calls) else 0) or not calls:
        calls.append(Called(script.client, served.name, "(script)", "FAILED", errors[-600:]))
    return calls


def table_of(calls: Sequence[Called]) -> Table:
    table = Table(title="programs written for A1111, against Hexfusion")
    for column in ("client", "server", "call", "outcome"):
        table.add_column(column, no_wrap=True)
    table.add_column("answer", overflow="fold")
    before = ("", "")
    for each in calls:
        place = (each.client, each.server)
        outcome = f"[bold red]{each.outcome}[/]" if each.outcome == "FAILED" else each.outcome
        names = place if place != before else ("", "")
        table.add_row(*map(escape, names), escape(each.call), outcome, escape(each.says[:140]))
        before = place
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    clients = [each.client for each in SCRIPTS]
    names = [each.name for each in SERVERS]
    parser.add_argument("--only", nargs="+", choices=clients, default=clients)
    parser.add_argument("--server", nargs="+", choices=names, default=names)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    console = harness.console()
    calls: list[Called] = []
    absent: dict[str, str] = {}
    scripts = [each for each in SCRIPTS if each.client in arguments.only]
    for ecosystem in sorted({each.ecosystem for each in scripts}):
        try:
            install(ecosystem)
        except Absent as reason:
            absent[ecosystem] = str(reason)
    scripts = [each for each in scripts if each.ecosystem not in absent]
    with ExitStack() as stack:
        environment = {}
        if any(each.client == "SillyTavern" for each in scripts):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            try:
                environment["SILLYTAVERN"] = stack.enter_context(silly_tavern(folder))
            except Absent as reason:
                absent["SillyTavern"] = str(reason)
                scripts = [each for each in scripts if each.client != "SillyTavern"]
        for served in (each for each in SERVERS if each.name in arguments.server):
            data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with harness.server(data, *served.flags) as running:
                for script in scripts:
                    if script.passwords or not served.auth:
                        calls += run(script, served, running.port, environment)
    console.print(table_of(calls))
    for what, why in absent.items():
        console.print(f"skipped, since {what} cannot be had here: {escape(why)}")
    failed = sum(each.outcome == "FAILED" for each in calls)
    console.print(f"{len(calls) - failed} of {len(calls)} calls ended as they should")
    harness.save(arguments.json, {"calls": [asdict(each) for each in calls], "absent": absent})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
