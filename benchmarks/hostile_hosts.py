"""Which `Host` and `Origin` are answered to: against pages that rebind their name.

python -m benchmarks.hostile_hosts [--checkout DIR] [--json FILE]

The server runs on the fake backend, once for each way to start it. Each case is what a browser, a
proxy or a program sends, with the status that it must have. With `--checkout` it is the server of
another checkout, to compare with. Exit status 1 if a case has another status.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from benchmarks import harness
from benchmarks.hostile_servers import exchange, server

_PING, _ACT = "/internal/ping", "/sdapi/v1/refresh-checkpoints"
_LOGIN = "Authorization: Basic YTpi"
#: Ways to start the server.
STARTS: dict[str, tuple[str, ...]] = {
    "no flags": (),
    "--listen": ("--listen",),
    "--allowed-hosts": ("--allowed-hosts", "a.example,*.b.example"),
    "--server-name": ("--server-name", "localhost"),
    "--trusted-proxy": ("--trusted-proxy", "127.0.0.1"),
    "accounts": ("--api-auth", "a:b"),
}


@dataclass(frozen=True)
class Case:
    """Header lines, and the status that they must get, started by `start`."""

    start: str
    what: str
    lines: tuple[str, ...]
    expected: int
    method: str = "GET"
    target: str = _PING
    version: str = "1.1"

    def sent(self, port: int) -> bytes:
        first = f"{self.method} {self.target} HTTP/{self.version}"
        lines = [first, *self.lines, *(["Content-Length: 0"] if self.method == "POST" else [])]
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        return text.replace("{port}", str(port)).encode("latin-1")


@dataclass(frozen=True)
class Outcome:
    start: str
    what: str
    expected: int
    status: int


def host(start: str, name: str, expected: int) -> Case:
    return Case(start, f"Host: {name}", (f"Host: {name}",), expected)


def page(start: str, origin: str, name: str, expected: int, *more: str) -> Case:
    """A page acts: a POST that browsers send without asking first."""
    lines = (f"Host: {name}", f"Origin: {origin}", *more)
    return Case(start, f"page {origin} at {name}", lines, expected, "POST", _ACT)


def cases() -> list[Case]:
    plain = "no flags"
    known = ["localhost", "localhost:{port}", "LOCALHOST", "localhost.", "sd.localhost",
             "127.0.0.1:{port}", "127.9.9.9", "[::1]:{port}", "[fe80::1%25eth0]",
             "192.168.1.5:{port}"]  # fmt: skip
    strange = ["evil.example", "evil.example:{port}", "localhost.evil.example",
               "127.0.0.1.nip.io", "xlocalhost", "2130706433"]  # fmt: skip
    none = ["", "a b", "localhost, localhost", "user@localhost", "localhost/x", "localhost:x",
            "localhost:99999", "::1", "[::g]"]  # fmt: skip
    return [
        *(host(plain, each, 200) for each in known),
        *(host(plain, each, 421) for each in strange),
        *(host(plain, each, 400) for each in none),
        Case(plain, "no Host", (), 400),
        Case(plain, "two equal Hosts", ("Host: localhost", "Host: localhost"), 400),
        Case(plain, "two Hosts", ("Host: localhost", "Host: evil.example"), 400),
        Case(plain, "no Host, HTTP/1.0", (), 200, version="1.0"),
        Case(plain, "target http://evil.example", ("Host: localhost",), 421,
             target="http://evil.example" + _PING),
        Case(plain, "target http://localhost", ("Host: evil.example",), 200,
             target="http://localhost" + _PING),
        Case(plain, "X-Forwarded-Host of anybody",
             ("Host: evil.example", "X-Forwarded-Host: localhost"), 421),
        page(plain, "http://evil.example:{port}", "evil.example:{port}", 421),
        page(plain, "http://evil.example:{port}", "evil.example:{port}", 421,
             "Sec-Fetch-Site: same-origin"),
        page(plain, "http://evil.example", "localhost:{port}", 403),
        page(plain, "http://6.6.6.6:{port}", "127.0.0.1:{port}", 403),
        page(plain, "http://localhost:3000", "localhost:{port}", 403),
        page(plain, "null", "localhost:{port}", 403),
        page(plain, "http://localhost:{port}", "localhost:{port}", 200),
        host("--listen", "192.168.1.5:{port}", 200),
        host("--listen", "evil.example", 421),
        host("--allowed-hosts", "a.example", 200),
        host("--allowed-hosts", "A.Example.:443", 200),
        host("--allowed-hosts", "x.b.example", 200),
        host("--allowed-hosts", "b.example", 421),
        host("--allowed-hosts", "x.a.example", 421),
        page("--allowed-hosts", "https://a.example", "localhost:{port}", 200),
        page("--allowed-hosts", "https://evil.example", "a.example", 403),
        host("--server-name", "localhost", 200),
        host("--server-name", "evil.example", 421),
        Case("--trusted-proxy", "the proxy's X-Forwarded-Host",
             ("Host: inside", "X-Forwarded-Host: sd.example"), 200),
        host("--trusted-proxy", "evil.example", 421),
        page("--trusted-proxy", "https://sd.example", "inside", 200,
             "X-Forwarded-Host: sd.example", "X-Forwarded-Proto: https"),
        page("--trusted-proxy", "https://evil.example", "inside", 403,
             "X-Forwarded-Host: sd.example"),
        Case("accounts", "any name, with credentials", ("Host: sd.example", _LOGIN), 200,
             target="/sdapi/v1/samplers"),
        Case("accounts", "a rebound name has none", ("Host: evil.example",), 401,
             target="/sdapi/v1/samplers"),
        page("accounts", "http://evil.example", "sd.example", 403, _LOGIN),
        host("accounts", "a, b", 400),
    ]  # fmt: skip


def outcomes(checkout: Path) -> list[Outcome]:
    found = []
    for start, flags in STARTS.items():
        try:
            with server(checkout, flags) as victim:
                for case in (each for each in cases() if each.start == start):
                    status = exchange(victim.port, case.sent(victim.port))
                    found.append(Outcome(start, case.what, case.expected, status))
        except SystemExit:  # an older checkout does not know the flag
            found += [Outcome(start, c.what, c.expected, 0) for c in cases() if c.start == start]
    return found


def table(found: Sequence[Outcome]) -> Table:
    shown = Table("started with", "request", "expected", "status", title="Hosts and origins")
    for each in found:
        mark = "" if each.status == each.expected else " [red]✗[/red]"
        shown.add_row(
            each.start, each.what.replace("[", r"\["), str(each.expected), f"{each.status}{mark}"
        )
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkout", type=Path, default=harness.ROOT)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    found = outcomes(arguments.checkout)
    console = harness.console()
    console.print(table(found))
    right = sum(each.status == each.expected for each in found)
    console.print(f"{right} of {len(found)} as expected")
    harness.save(arguments.json, {"cases": [asdict(each) for each in found]})
    return 0 if right == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
