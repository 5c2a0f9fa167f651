"""Trying hostile files on a server: is it whole afterwards, and what did it say?"""

import contextlib
import http.client
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.harness import Client, order
from benchmarks.hostile_models.case import Case, Ground
from benchmarks.hostile_models.kinds import KINDS, TXT2IMG

#: Bytes that a case may make the server larger by, at its worst moment.
BLOAT = 300_000_000
#: Seconds for one answer, and what it takes at most on a slow machine.
SLOW, PATIENCE = 30.0, 240.0
#: What no answer may contain.
SECRET = "a secret of the house 4711"

Bad = ("silent", "lost", "executed", "bloated", "slow", "told a secret", "picture changed")


class Ask(Protocol):
    """Sends a request: status and body. A status of 0 means that there was no answer."""

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, bytes]: ...


@dataclass(frozen=True)
class Server:
    """What a trial needs of a server: to ask it, to read its log, to know its size.

    `grown` starts at 0 bytes again by `settle`; in one process with the trial both may do nothing.
    """

    ask: Ask
    log: Callable[[], str]
    settle: Callable[[], None]
    grown: Callable[[], int]


@dataclass(frozen=True)
class Outcome:
    """What came of a case. `verdict` is one of

    refused (an error names the file), told (a picture, and `info` names it), skipped (not listed,
    and the log names it, or it is no file or hidden), works (allowed, where nothing is wrong that
    matters), or one of `Bad`.
    """

    case: Case
    verdict: str
    status: int
    said: str
    grown: int
    seconds: float

    @property
    def good(self) -> bool:
        return self.verdict not in Bad


class Trial:
    """Tries cases one after the other in a data folder that it tidies after each."""

    def __init__(self, server: Server, data: Path, ground: Ground) -> None:
        self._server = server
        self._data = data
        self._ground = ground
        self._kept = {kind.name: self._entries(kind.folder) for kind in KINDS.values()}
        status, body = server.ask("POST", TXT2IMG, order(steps=1))
        if status != 200:
            raise RuntimeError(f"no picture even before it is maltreated: {status} {body[:500]!r}")
        self._plain = json.loads(body)["images"]

    def run(self, case: Case) -> Outcome:
        """Place the file, look at lists, ask for it, tidy up, and ask for the plain picture."""
        server, kind = self._server, case.of
        path = self._data / kind.folder / case.file
        server.settle()
        before = len(server.log())
        path.parent.mkdir(parents=True, exist_ok=True)
        case.place(path, self._ground)
        started = time.monotonic()
        listed, skipped = self._listed(case)
        if case.change:
            case.change(path, self._ground)
        route, body = kind.use(case.word)
        status, answer = server.ask("POST", route, body)
        again = self._listed(case)[0] if listed is not None else None
        seconds = time.monotonic() - started
        grown = server.grown()
        self._tidy(case)
        same = self._picture() == self._plain
        said = _texts(answer)
        told = server.log()[before:] + "\n".join(skipped)
        verdict = self._verdict(case, listed, again, status, said, told)
        if again is None or status == 0:
            verdict = "lost"
        elif not same:
            verdict = "picture changed"
        elif seconds > SLOW:
            verdict = "slow"
        elif grown > BLOAT:
            verdict = "bloated"
        if SECRET.encode() in answer:
            verdict = "told a secret"
        if any(self._ground.proof.iterdir()):
            verdict = "executed"
            shutil.rmtree(self._ground.proof)
            self._ground.proof.mkdir()
        return Outcome(case, verdict, status, said, grown, seconds)

    def _verdict(
        self,
        case: Case,
        listed: set[str] | None,
        again: set[str] | None,
        status: int,
        said: str,
        log: str,
    ) -> str:
        stem = Path(case.file).stem
        named = stem in said or case.word[:100] in said or Path(case.file).name in said
        if status >= 400 and named:
            return "refused"
        if status == 200 and named:
            return "told"
        if case.change and again is not None and case.word not in again:
            return "skipped"  # it was gone before it was asked for
        absent = listed is not None and case.word not in listed
        if absent and (case.quiet or stem in log or case.word in log):
            return "skipped"
        if status == 200 and case.works:
            return "works"
        return "silent"

    def _listed(self, case: Case) -> tuple[set[str] | None, set[str]]:
        """What the kind's list names after a refresh, and what it names as skipped; None if the
        list is not to be had."""
        kind, ask = case.of, self._server.ask
        if kind.refresh and ask("POST", kind.refresh, {})[0] != 200:
            return None, set()
        status, body = ask("GET", kind.listing)
        if status != 200:
            return None, set()
        return kind.names(json.loads(body)), kind.skipped(json.loads(body))

    def _picture(self) -> list[str] | None:
        status, body = self._server.ask("POST", TXT2IMG, order(steps=1))
        return json.loads(body)["images"] if status == 200 else None

    def _entries(self, folder: str) -> set[str]:
        path = self._data / folder
        path.mkdir(parents=True, exist_ok=True)
        return set(os.listdir(path))

    def _tidy(self, case: Case) -> None:
        folder = self._data / case.of.folder
        for name in set(os.listdir(folder)) - self._kept[case.kind]:
            path = folder / name
            if path.is_symlink() or not path.is_dir():
                path.unlink()
            else:
                shutil.rmtree(path)
        if case.of.refresh:
            self._server.ask("POST", case.of.refresh, {})


def _texts(body: bytes) -> str:
    """What an answer says: an error's texts, or the comments beside a picture."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body[:1000].decode("utf-8", "replace")
    if isinstance(answer, dict) and "info" in answer and "images" in answer:
        with contextlib.suppress(ValueError, AttributeError):
            return "\n".join(json.loads(answer["info"]).get("comments") or [])
        return ""
    if isinstance(answer, dict) and "image" in answer:
        return ""
    return "\n".join(_strings(answer))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def ground_in(folder: Path) -> Ground:
    """New folders for a trial to reach out to."""
    ground = Ground(proof=folder / "proof", outside=folder / "outside")
    ground.proof.mkdir()
    ground.outside.mkdir()
    (ground.outside / "secret.txt").write_text(f"{SECRET}: [not yaml: {SECRET}\n" * 3)
    return ground


def over_http(port: int, log: Path, process: int) -> Server:
    """A server in a process of its own. Its size is its resident memory's peak, where Linux
    tells it."""
    at_first = 0

    def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
        client = Client(port, timeout=PATIENCE)
        try:
            reply = client.ask(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error).encode()
        finally:
            client.close()
        return reply.status, reply.body

    def settle() -> None:
        nonlocal at_first
        with contextlib.suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")
        at_first = _peak(process)

    def grown() -> int:
        return max(0, _peak(process) - at_first)

    def read() -> str:
        return log.read_text("utf-8", "surrogateescape")

    return Server(ask, read, settle, grown)


def _peak(process: int) -> int:
    """Bytes that the process had in memory at most since its peak was reset; 0 where unknown."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0
