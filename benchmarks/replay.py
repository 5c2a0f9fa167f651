"""Every recorded request again, over the fake backend: the same status, the same shape of JSON?

python -m benchmarks.replay [SECTION ...] [--recordings DIR] [--all]

Pictures are not compared (benchmarks.fidelity does that, with the real backend), nor are other
values. Prints how many agree, how many differ on purpose and why, and which have no engine yet;
`--all` names each recording. Exit status 1 if one differs and nobody meant it.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falcon.testing import Result, TestClient
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import harness
from benchmarks.replay_reasons import BEFORE, FLAGS, later, meant
from benchmarks.shapes import differences
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.gpu.parts import FakeParts
from hexfusion.domain.flags import parse_flags

Json = Mapping[str, Any]

#: How long a watched job's steps take, seconds, and how often it is asked for.
_STEP, _POLL = 0.01, 0.02


@dataclass(frozen=True)
class Case:
    """A recorded request with its answer. `polls` were answered while it ran."""

    name: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    status: int
    answer: Any
    polls: Sequence[Mapping[str, Any]] = ()
    action: str = ""

    @property
    def section(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `agrees`, `meant`, `later`, or `unexplained`, and a word on it."""

    name: str
    verdict: str
    note: str = ""


def read_all(folder: Path) -> Iterator[Case]:
    """The recordings below `folder`."""
    for path in sorted(folder.glob("*/*.json")):
        recorded = json.loads(path.read_text("utf-8"))
        if not isinstance(recorded, dict) or "request" not in recorded:
            continue
        if "client_error" in recorded:  # never sent
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        asked, answer = recorded["request"], recorded.get("result", recorded)
        yield _case(name, folder, asked, answer, recorded)
        if asked.get("second"):
            yield _case(f"{name}+second", folder, {**asked, "json": asked["second"]},
                        recorded["second"], {})  # fmt: skip


def _case(name: str, folder: Path, asked: Json, answer: Json, recorded: Json) -> Case:
    headers = dict(asked.get("headers", {}))
    body = asked["data"].encode("utf-8", "surrogateescape") if asked.get("data") else None
    if "json" in asked:
        body = json.dumps(_with_files(asked["json"], folder)).encode()
        headers.setdefault("Content-Type", "application/json")
    return Case(
        name=name,
        method=asked.get("method", "POST"),
        path=asked.get("path", "/sdapi/v1/txt2img"),
        headers=headers,
        body=body,
        status=answer.get("status", 0),
        answer=answer.get("body", answer.get("body_text")),
        polls=recorded.get("polls", ()),
        action=name.rpartition("/")[2].partition("_")[0] if recorded.get("action") else "",
    )


def _with_files(value: Any, folder: Path) -> Any:
    """{"$b64": PATH} anywhere in a request is that file in base64."""
    if isinstance(value, dict):
        if value.keys() == {"$b64"}:
            return b64encode((folder / value["$b64"]).read_bytes()).decode("ascii")
        return {key: _with_files(each, folder) for key, each in value.items()}
    return [_with_files(each, folder) for each in value] if isinstance(value, list) else value


class Server:
    """The whole application over the fake backend, on a data folder of its own."""

    def __init__(self, data: Path, *flags: str, seconds_per_step: float = 0.0) -> None:
        """`data` is looked at, and not changed: what is written goes to a folder beside it."""
        own = Path(tempfile.mkdtemp(dir=data.parent))
        for each in data.iterdir():
            (own / each.name).symlink_to(each)
        given = ["--data-dir", str(own), "--no-download-sd-model", "--backend", "fake", *flags]
        settings = parse_flags([*given, "--api-server-stop"], {}, absolute=os.path.abspath)
        self._container = bootstrap.assemble(
            settings,
            backend=FakeParts(FakeInference(seconds_per_step)),
            process=_NoProcess(),
        )
        self._container.models().load(self._container.options().snapshot())
        app = bootstrap.build_app(self._container)
        self._client = TestClient(app, headers={"Host": "localhost"})

    def send(self, case: Case) -> Result:
        path, _, query = case.path.partition("?")
        return self._client.simulate_request(
            case.method, path, query_string=query, headers=dict(case.headers), body=case.body
        )

    def get(self, path: str) -> Any:
        return self._client.simulate_get(path).json

    def post(self, path: str) -> Result:
        return self._client.simulate_post(path)

    def forget(self) -> None:
        """Put every option back to its default."""
        options = self._container.options()
        options.update(dict.fromkeys(options.snapshot().stored))


class _NoProcess:
    """In place of the process that measures."""

    def stop(self) -> None: ...

    def restart(self) -> bool:
        return False

    def kill(self) -> None: ...


@contextmanager
def data_folder(recordings: Path) -> Iterator[Path]:
    """A copy of the recorded server's data, with its second checkpoint."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        shutil.copytree(recordings / "data", data)
        models = data / "models" / "Stable-diffusion"
        for ending in ("safetensors", "yaml"):
            shutil.copyfile(models / f"tiny.{ending}", models / f"tiny_b.{ending}")
        yield data


class Replay:
    """Sends recordings, each to a server as that which answered it was started."""

    def __init__(self, data: Path, cases: Mapping[str, Case]) -> None:
        self._data = data
        self._cases = cases
        self._servers: dict[str, Server] = {}

    def run(self, case: Case) -> Outcome:
        server = self._server(case)
        for name in BEFORE.get(case.name, ()):
            server.send(self._cases[name])
        try:
            found = self._watch(server, case) if case.polls else self._send(server, case)
        finally:
            server.forget()
        status, wrong = found
        if status == case.status and not wrong:
            return Outcome(case.name, "agrees")
        said = "; ".join(wrong[:3]) if status == case.status else f"{status}, not {case.status}"
        if reason := later(case, status):
            return Outcome(case.name, "later", reason)
        if reason := meant(case, status, wrong):
            return Outcome(case.name, "meant", reason)
        return Outcome(case.name, "unexplained", said)

    def _server(self, case: Case) -> Server:
        section = case.name.partition("_")[0] if case.section == "cors" else case.section
        if section not in self._servers:
            flags, pace = FLAGS.get(section, ()), _STEP if case.polls else 0.0
            self._servers[section] = Server(self._data, *flags, seconds_per_step=pace)
        return self._servers[section]

    def _send(self, server: Server, case: Case) -> tuple[int, list[str]]:
        answer = server.send(case)
        if answer.status_code != case.status or case.method == "HEAD":
            return answer.status_code, []
        return answer.status_code, list(differences(case.answer, _body(answer)))

    def _watch(self, server: Server, case: Case) -> tuple[int, list[str]]:
        """Ask for progress while the job runs, and interrupt or skip it as was recorded."""
        results: list[Result] = []
        thread = threading.Thread(target=lambda: results.append(server.send(case)))
        thread.start()
        polled: list[Any] = []
        acted: list[Any] = []
        while thread.is_alive():
            polled.append(server.get("/sdapi/v1/progress"))
            state = polled[-1]["state"]
            if case.action and not acted and state["job"] and state["sampling_step"] > 1:
                acted.append(server.post(f"/sdapi/v1/{case.action}").json)
            time.sleep(_POLL)
        (answer,) = results
        wrong = _unlike(case.polls, polled)
        for each in acted:
            wrong += differences(_ACTIONS[case.action], each, case.action)
        if answer.status_code == case.status:
            wrong += differences(case.answer, _body(answer))
        return answer.status_code, wrong


_ACTIONS: Mapping[str, Any] = {"interrupt": {}, "skip": None}


def _unlike(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Any]) -> list[str]:
    """Polls of ours that are like none of theirs."""
    recorded = [{k: v for k, v in each.items() if k not in ("t", "lat")} for each in theirs]
    # When a preview comes is chance.
    recorded += [{**recorded[0], "current_image": picture} for picture in ("", None)]
    wrong: dict[str, None] = {}
    for poll in ours:
        found = [list(differences(each, poll, "poll")) for each in recorded]
        if all(found):
            wrong |= dict.fromkeys(min(found, key=len))
    return list(wrong)


def _body(answer: Result) -> Any:
    if not answer.content:
        return ""
    try:
        return answer.json
    except ValueError:
        return answer.text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--recordings", type=Path, default=harness.RECORDINGS)
    parser.add_argument("--all", action="store_true", help="name each recording")
    given = parser.parse_args()
    outcomes = replay_all(given.recordings, given.sections)
    report(Console(), outcomes, every=given.all)
    if not outcomes:
        print("no recordings", file=sys.stderr)
        return 2
    return int(any(each.verdict == "unexplained" for each in outcomes))


def replay_all(recordings: Path, sections: Sequence[str] = ()) -> list[Outcome]:
    """The outcome of each recording, of all sections or of those named."""
    cases = {case.name: case for case in read_all(recordings)}
    with data_folder(recordings) as data:
        replay = Replay(data, cases)
        wanted = [case for case in cases.values() if not sections or case.section in sections]
        return [replay.run(case) for case in wanted]


def report(console: Console, outcomes: Sequence[Outcome], *, every: bool) -> None:
    """Print it."""
    named = [each for each in outcomes if every or each.verdict == "unexplained"]
    if named:
        table = Table("recording", "verdict", "")
        for each in named:
            table.add_row(each.name, each.verdict, escape(each.note))
        console.print(table)
    reasons = Counter((each.verdict, each.note) for each in outcomes if each.verdict in _REASONED)
    table = Table("times", "", "reason")
    for (verdict, note), count in sorted(reasons.items(), key=lambda item: (item[0][0], -item[1])):
        table.add_row(str(count), verdict, escape(note))
    console.print(table)
    verdicts = Counter(each.verdict for each in outcomes)
    counts = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
    console.print(f"{len(outcomes)} recordings: {counts}.")


_REASONED = ("meant", "later")

if __name__ == "__main__":
    raise SystemExit(main())
