"""Model files of strangers: nothing in them runs, and each is named (issue 6)."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from falcon.testing import TestClient

from benchmarks import harness
from benchmarks.hostile_models import __main__ as command
from benchmarks.hostile_models.case import Case
from benchmarks.hostile_models.collection import collection, few
from benchmarks.hostile_models.trial import Server, Trial, ground_in
from hexfusion import bootstrap
from hexfusion.domain.flags import parse_flags

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def log() -> Iterator[list[str]]:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, log: list[str]) -> Trial:
    """On the whole application, in this process."""
    scratch = tmp_path_factory.mktemp("hostile")
    data = harness.data_directory(scratch / "data", harness.STARTER)
    argv = ["--data-dir", str(data), "--no-download-sd-model", "--threads", "1"]
    settings = parse_flags(argv, {}, absolute=os.path.abspath)
    client = TestClient(bootstrap.build_app(bootstrap.assemble(settings)))

    def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
        answer = client.simulate_request(method, path, json=body)
        return answer.status_code, answer.content

    server = Server(ask, lambda: "\n".join(log), settle=lambda: None, grown=lambda: 0)
    return Trial(server, data, ground_in(scratch))


@pytest.mark.parametrize("case", few(), ids=str)
def test_it_is_named_and_harmless(trial: Trial, case: Case) -> None:
    outcome = trial.run(case)
    assert outcome.good, f"{outcome.verdict}: {outcome.status} {outcome.said[:500]}"


BY_NAME = {str(case): case for case in collection()}


@pytest.mark.parametrize("kind", ["LoRA", "embedding", "hypernetwork", "upscaler"])
def test_pictures_that_are_no_numbers_name_all_that_took_part(trial: Trial, kind: str) -> None:
    """Finite numbers make them, so that no file can be told from the others."""
    outcome = trial.run(BY_NAME[f"{kind}, values: the largest"])
    assert (outcome.verdict, outcome.status) == ("refused", 500)
    assert "NotANumber" in outcome.said


def test_the_collection_is_always_the_same_three_hundred_and_more() -> None:
    cases = collection()
    assert len({str(case) for case in cases}) == len(cases) >= 300
    assert len({(case.kind, case.file) for case in cases}) == len(cases)
    assert {case.kind for case in cases} == {case.kind for case in few()}


@pytest.mark.slow
def test_none_of_them_all_harms_a_server(tmp_path: Path) -> None:
    """In a process of its own, whose memory is measured."""
    figures = tmp_path / "figures.json"
    assert command.main(["--threads", "1", "--json", str(figures)]) == 0
    assert len(json.loads(figures.read_text())["cases"]) == len(collection())
