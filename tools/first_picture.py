"""`make run`: start the server, make a first picture, say where it is and how to go on.

On a terminal it goes on serving until Ctrl-C; with --once, or without a terminal, it stops the
server and leaves. Exit status 0 means that there is a picture.
"""

import argparse
import base64
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hexfusion.domain.flags import FlagError, Flags, parse_flags

PROMPT = "a red circle on a blue background"
#: Seconds the server may take to answer its first request.
START_LIMIT = 300
#: Seconds it may take to stop.
STOP_LIMIT = 45


class Failed(Exception):
    """There is no picture; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    arguments = read_arguments(argv)
    console = Console()
    made = False
    # Make sure that the server does not outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        flags = parse_flags(arguments.flags, os.environ, absolute=os.path.abspath)
        check_port(flags)
        log = Path(flags.text("data_dir")) / "server.log"
        with running_server(arguments.flags, log) as server:
            make_picture(console, server, log, flags, arguments)
            made = True
            if not arguments.once and sys.stdin.isatty() and sys.stdout.isatty():
                console.print("\nThe server goes on; [bold]Ctrl-C[/] stops it.")
                if server.wait():
                    raise Failed(f"the server ended with status {server.returncode}; see {log}")
    except (Failed, FlagError, OSError) as error:
        console.print(f"[bold red]No picture:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
    return 0 if made else 130


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--size", type=int, default=256, help="width and height, pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="stop the server afterwards")
    parser.add_argument("flags", nargs="*", help="the server's flags, after --")
    return parser.parse_args(argv)


def local(flags: Flags) -> str:
    """The address under which this machine reaches the server."""
    return "127.0.0.1" if flags.host in ("0.0.0.0", "::") else flags.host


def check_port(flags: Flags) -> None:
    """Raises Failed when somebody listens there already: we would talk to them."""
    if flags.port == 0:
        raise Failed("name a port: --port 0 leaves it unknown")
    try:
        socket.create_connection((local(flags), flags.port), timeout=2).close()
    except OSError:
        return
    raise Failed(f"port {flags.port} is taken; choose another: --port {flags.port + 1}")


@contextmanager
def running_server(flags: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server as a child process, its output in `log`; stopped when the block ends."""
    command = Path(sys.executable).with_name("hexfusion")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen([command, *flags], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield server
    finally:
        # Ctrl-C on a terminal has reached the server too; a second signal would cut it short.
        if server.poll() is None and not isinstance(sys.exception(), KeyboardInterrupt):
            server.terminate()
        try:
            server.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def make_picture(
    console: Console,
    server: subprocess.Popen[bytes],
    log: Path,
    flags: Flags,
    arguments: argparse.Namespace,
) -> None:
    """Wait for the server, ask it for the picture, show its progress, write the file."""
    host = local(flags)
    url = f"http://{host}:{flags.port}"
    order = {
        "prompt": arguments.prompt,
        "width": arguments.size,
        "height": arguments.size,
        "steps": arguments.steps,
        "seed": arguments.seed,
    }
    started = time.monotonic()

    def ask(method: str, path: str, body: object = None) -> Any:
        return call(host, flags.port, method, path, body)

    with progress_bar(console) as bar:
        task = bar.add_task("starting the server", total=None, steps="")
        wait_until_up(server, log, lambda: ask("GET", "/internal/ping"))
        ready = time.monotonic() - started
        bar.update(task, description="loading the model")
        reply = Background(lambda: ask("POST", "/sdapi/v1/txt2img", order))
        while not reply.done(0.1):
            if server.poll() is not None:
                raise Failed(ended(server, log))
            show_progress(bar, ask("GET", "/sdapi/v1/progress?skip_current_image=true"))
        bar.update(task, description="done", total=1, completed=1)
        picture = base64.b64decode(reply.result()["images"][0])
    seconds = time.monotonic() - started - ready
    path = Path(flags.text("data_dir")) / "first-picture.png"
    write(path, picture)
    tell(console, path, url, order, f"server up after {ready:.1f} s, picture {seconds:.1f} s later")


def progress_bar(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description:24}"), BarColumn())
    return Progress(
        *columns, TextColumn("{task.fields[steps]}"), TimeElapsedColumn(), console=console
    )


def wait_until_up(server: subprocess.Popen[bytes], log: Path, ping: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(ended(server, log))
        try:
            ping()
        except ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise Failed(f"the server did not answer within {START_LIMIT} s; see {log}")


def ended(server: subprocess.Popen[bytes], log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-10:]
    return "\n  ".join((f"the server ended with status {server.returncode}; it said:", *lines))


def show_progress(bar: Progress, report: Mapping[str, Any]) -> None:
    state = report["state"]
    if state["sampling_steps"]:
        done, of = state["sampling_step"] + 1, state["sampling_steps"]
        bar.update(
            bar.task_ids[0],
            description="painting",
            total=of,
            completed=done,
            steps=f"step {done}/{of}",
        )


class Background:
    """Calls `work` in a thread of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._result = work()
        except Exception as error:
            self._error = error

    def done(self, seconds: float) -> bool:
        """Whether it is over, after at most `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Any:
        """What `work` returned or raised."""
        if self._error:
            raise self._error
        return self._result


def call(host: str, port: int, method: str, path: str, body: object = None) -> Any:
    """Ask the server; raises Failed for an answer other than 200, OSError when it is not there."""
    connection = http.client.HTTPConnection(host, port)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise Failed(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Failed(f"{method} {path} was answered with {answer.status}: {text}")
    return json.loads(text)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    half = path.with_suffix(".part")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def tell(console: Console, path: Path, url: str, order: Mapping[str, object], figures: str) -> None:
    """Say where the picture is, and how to make the next one."""
    save = "import base64, json, sys; open('picture.png', 'wb').write("
    save += "base64.b64decode(json.load(sys.stdin)['images'][0]))"
    lines = (
        f"Your first picture ({order['prompt']!r}): {path}",
        f"({figures})",
        "",
        f"Server: {url}   docs: {url}/docs",
        "Another picture:",
        f"  curl -s {url}/sdapi/v1/txt2img -H 'Content-Type: application/json' \\",
        f"    -d {shlex.quote(json.dumps(order))} \\",
        f'    | python3 -c "{save}"',
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
