"""Attacks on a running server: how many were tried, and did one get through?

python -m benchmarks.hostile_http [--only KIND ...] [--show] [--json FILE]

The backend is the fake one: all of this is decided before a network would run. Each kind of attack
has its own goal - an answer without credentials, a file outside the data folder, a connection to
the inside, a request hidden in another, much memory for few bytes - and is judged by whether it was
reached, not by the status alone. Exit status 1 if one was, or if the server does not go on as
before.
"""

import argparse
import base64
import http.server
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from rich.markup import escape
from rich.table import Table

from benchmarks import harness, hostile_inputs, hostile_requests
from benchmarks.bombs import saved
from benchmarks.harness import Client, order
from benchmarks.hostile_inputs import OPTIONS, TXT2IMG, Attack
from benchmarks.hostile_requests import SMUGGLED

#: Who may call the server that asks.
USER, TOKEN = "anna:s3cret", "t0ken-of-anna"
#: What lies in the files outside the data folder; it must not come back.
SECRET = "the-secret-of-the-neighbour"
#: Seconds an answer may take, and MiB the server may grow, for one attack.
PATIENCE, GROWTH = 20.0, 400
#: Failures with 5xx that A1111's clients expect.
EXPECTED_500 = re.compile(
    rb'"KeyError"|not found|Invalid encoded image|Invalid image url|not allowed|CheckpointError'
    rb'|"detail":"Invalid'
)


@dataclass
class Answer:
    """What came back; status 0 where the connection ended without one."""

    status: int
    body: bytes
    seconds: float


@dataclass
class Tally:
    """What became of the attacks of one kind. `harmless`: answered 2xx, and nothing was reached."""

    kind: str
    tried: int = 0
    refused: int = 0
    harmless: int = 0
    through: list[str] = field(default_factory=list)
    slowest: float = 0.0
    grown: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


class Prey:
    """A running server, and all that an attack on it must not change or reach."""

    def __init__(self, running: harness.Running, root: Path, inside: "Inside") -> None:
        self.port = running.port
        self.root = root
        self.inside = inside
        self._process = psutil.Process(running.process.pid)
        self._outside = self.outside()

    def outside(self) -> dict[str, bytes]:
        """All files beside the data folder, and what earlier attacks may have left in /tmp."""
        neighbour = self.root / "neighbour"
        files = {str(each): each.read_bytes() for each in neighbour.rglob("*") if each.is_file()}
        others = {str(each): b"" for each in self.root.iterdir() if each.name != "data"}
        left = Path(tempfile.gettempdir()).glob("hexfusion-escaped*")
        return {**files, **others, **{str(each): b"" for each in left}}

    def memory(self) -> int:
        """MiB."""
        return self._process.memory_info().rss // 2**20

    def harmed(self) -> str | None:
        """What has been reached, if anything. A harm is told once."""
        now, before = self.outside(), self._outside
        self._outside = now
        if now != before:
            changed = sorted(now.items() ^ before.items())
            return f"files outside changed: {[name for name, _ in changed]}"
        if self.inside.asked:
            asked, self.inside.asked = self.inside.asked, []
            return f"the inside was asked for {asked}"
        return None


class Inside:
    """A server only this machine can reach. `asked` is what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        inside = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                inside.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SECRET.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def prey(*flags: str) -> Iterator[Prey]:
    """A server whose data folder has a neighbour with secrets."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hexfusion-prey-")))
        neighbour = root / "neighbour"
        neighbour.mkdir()
        for name in ("secret.txt", "secret.yaml", "secret.csv", "secret.safetensors", "secret.pt"):
            (neighbour / name).write_text(SECRET)
        (root / "tokens").write_text(TOKEN + "\n")
        data = harness.data_directory(root / "data", harness.STARTER)
        inside = Inside()
        stack.callback(inside.close)
        given = [each.replace("<root>", str(root)) for each in flags]
        running = stack.enter_context(harness.server(data, "--backend", "fake", *given))
        yield Prey(running, root, inside)


def send(port: int, attack: Attack) -> Answer:
    """One attack on a connection of its own."""
    started, answer = time.perf_counter(), b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            with suppress(OSError):  # refused before all of it was sent; the answer may be there
                connection.sendall(attack.sent)
            connection.settimeout(attack.idle or PATIENCE)
            while part := connection.recv(2**20):
                answer += part
    except OSError:
        pass
    seconds = time.perf_counter() - started
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return Answer(int(found[1]) if found else 0, answer, seconds)


#: Whether an answer shows that an attack reached its goal, and how.
Reached = Callable[[Attack, Answer], str | None]


def let_in(attack: Attack, answer: Answer) -> str | None:
    """Attacks on the door: whatever is no refusal."""
    if answer.status and answer.status < 400:
        return f"answered {answer.status}"
    return None


def leaked(attack: Attack, answer: Answer) -> str | None:
    """Attacks on files and the inside: what lies there came back."""
    if SECRET.encode() in answer.body or b"root:x:0" in answer.body:
        return "a secret came back"
    return None


def misread(attack: Attack, answer: Answer) -> str | None:
    """Requests that are none: taken, or answered as if it were the server's fault."""
    if 200 <= answer.status < 300 and not attack.answers:
        return f"answered {answer.status}"
    return None


def undergone(port: int) -> str | None:
    """Whether the option has changed that smuggled requests change; it is put back."""
    client = Client(port)
    changed = client.ask("GET", OPTIONS).json()["samples_filename_pattern"] == SMUGGLED
    if changed:
        client.ask("POST", OPTIONS, {"samples_filename_pattern": None})
    client.close()
    return "the hidden request was carried out" if changed else None


def smuggled(port: int) -> Reached:
    """A request hidden in another was carried out, or answered by itself."""

    def reached(attack: Attack, answer: Answer) -> str | None:
        carried_out = undergone(port)
        if len(re.findall(rb"(?m)^HTTP/1\.[01] 2", answer.body)) > attack.answers:
            return "more answers than requests"
        if re.search(rb"(?mi)^set-cookie", answer.body):
            return "a header of its own"
        return carried_out

    return reached


def tally(kind: str, attacks: Iterator[Attack], prey: Prey, reached: Reached) -> Tally:
    """Make the attacks, one after another."""
    result = Tally(kind)
    for attack in attacks:
        before = prey.memory()
        answer = send(prey.port, attack)
        grown = prey.memory() - before
        result.tried += 1
        result.statuses[answer.status] = result.statuses.get(answer.status, 0) + 1
        result.slowest = max(result.slowest, answer.seconds)
        result.grown = max(result.grown, grown)
        harm = reached(attack, answer) or leaked(attack, answer) or prey.harmed()
        if answer.seconds >= PATIENCE:
            harm = harm or f"no answer within {PATIENCE:g} s"
        if grown > GROWTH:
            harm = harm or f"the server grew by {grown} MiB"
        if answer.status == 500 and not EXPECTED_500.search(answer.body):
            _, _, body = answer.body.partition(b"\r\n\r\n")
            harm = harm or f"answered 500: {body[:200].decode('utf-8', 'replace')}"
        if harm:
            result.through.append(f"{attack.name}: {harm}")
        elif 200 <= answer.status < 400:
            result.harmless += 1
        else:
            result.refused += 1
    return result


def picture(port: int, headers: Mapping[str, str]) -> object:
    """What a request gets that has nothing hostile about it."""
    client = Client(port, timeout=60)
    reply = client.ask("POST", TXT2IMG, order(), headers)
    client.close()
    return reply.json()["images"] if reply.status == 200 else reply.body


def assail(kinds: Sequence[str]) -> Iterator[Tally]:
    """All attacks of these kinds."""
    basic = {"Authorization": f"Basic {base64.b64encode(USER.encode()).decode()}"}
    doors = ("--api-auth", USER, "--api-token-file", "<root>/tokens")
    with prey(*doors) as closed:
        before = picture(closed.port, basic)
        document = openapi(closed.port)
        door = {
            "no or wrong credentials": hostile_inputs.credentials(document, USER, TOKEN),
            "ways around the door": hostile_inputs.detours(),
        }
        for kind, attacks in door.items():
            if kind in kinds:
                yield tally(kind, attacks, closed, let_in)
        yield survival("afterwards: the door", before == picture(closed.port, basic))
    with prey("--max-body", "4") as opened:
        before = picture(opened.port, {})
        document = openapi(opened.port)
        port, root, fields = opened.port, opened.root, picture_fields(opened.port)
        inside = opened.inside.port
        others: dict[str, tuple[Iterator[Attack], Reached]] = {
            "foreign web pages": (hostile_inputs.foreign_pages(), let_in),
            "paths in request fields": (hostile_inputs.paths_in_fields(document, root), leaked),
            "paths in overridden options": (
                hostile_inputs.paths_in_overrides(document, root),
                leaked,
            ),
            "paths in stored options": (hostile_inputs.paths_in_options(document, root), leaked),
            "paths in addresses": (hostile_inputs.paths_in_urls(root), leaked),
            "pictures that explode": (hostile_inputs.exploding_pictures(fields), leaked),
            "pictures at inside addresses": (hostile_inputs.inside_urls(inside, fields), leaked),
            "bodies too large or endless": (hostile_requests.large_bodies(4 * 2**20), misread),
            "bodies that are no request": (hostile_requests.malformed(document), misread),
            "requests hidden in others": (hostile_requests.smuggling(), smuggled(port)),
            "heads that are none": (hostile_requests.broken_heads(), misread),
        }
        for kind, (attacks, reached) in others.items():
            if kind in kinds:
                yield tally(kind, attacks, opened, reached)
        reset = Client(port)
        reset.ask("POST", OPTIONS, dict.fromkeys(hostile_inputs.text_options(document)))
        reset.close()
        yield survival("afterwards: the open server", before == picture(port, {}))


def picture_fields(port: int) -> list[tuple[str, str]]:
    """Those of routes whose engine is there already."""
    sound = base64.b64encode(saved("PNG")).decode()
    found = []
    for path, name in hostile_inputs.PICTURE_FIELDS:
        answer = send(port, Attack(name, hostile_inputs.with_picture(path, name, sound)))
        if answer.status not in (404, 501):
            found.append((path, name))
    return found


KINDS = (
    "no or wrong credentials",
    "ways around the door",
    "foreign web pages",
    "paths in request fields",
    "paths in overridden options",
    "paths in stored options",
    "paths in addresses",
    "pictures that explode",
    "pictures at inside addresses",
    "bodies too large or endless",
    "bodies that are no request",
    "requests hidden in others",
    "heads that are none",
)


def survival(name: str, good: bool) -> Tally:
    """Whether the first picture can be had again, as a row."""
    return Tally(name, 1, 0, int(good), [] if good else ["another picture than before"])


def openapi(port: int) -> Mapping[str, object]:
    client = Client(port)
    document = client.ask("GET", "/openapi.json").json()
    client.close()
    return document


def table_of(tallies: Sequence[Tally], *, show: bool) -> Table:
    table = Table(title="attacks on a running server")
    for column in ("kind", "tried", "refused", "harmless", "got through", "slowest", "grew by"):
        right = column != "kind"
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    if show:
        table.add_column("statuses")
    for each in tallies:
        through = f"[bold red]{len(each.through)}[/]" if each.through else "0"
        row = [each.kind, each.tried, each.refused, each.harmless, through]
        row += [f"{each.slowest:.2f} s", f"{each.grown} MiB"]
        if show:
            row.append(", ".join(f"{status}: {n}" for status, n in sorted(each.statuses.items())))
        table.add_row(*map(str, row))
    tried, refused = sum(each.tried for each in tallies), sum(each.refused for each in tallies)
    through = sum(len(each.through) for each in tallies)
    table.add_section()
    table.add_row("all", str(tried), str(refused), str(tried - refused - through), str(through))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--show", action="store_true", help="which statuses were answered")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    console = harness.console()
    tallies = list(assail(arguments.only))
    console.print(table_of(tallies, show=arguments.show))
    for each in tallies:
        for line in each.through:
            console.print(f"[bold red]{escape(each.kind)}[/]: {escape(line)}")
    harness.save(arguments.json, {"kinds": [asdict(each) for each in tallies]})
    return 1 if any(each.through for each in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
