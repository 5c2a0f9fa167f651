"""What comes from a hostile network. With real checkpoints: benchmarks/hostile.py."""

from collections.abc import Iterator

import pytest

from benchmarks.harness import order
from benchmarks.hostile import Case, Raw, file_cases, outcomes, raw_cases, request_cases
from tests.system.conftest import Serve

CASES = [*request_cases(), *raw_cases(), *file_cases(weights=False)]


@pytest.fixture(scope="module")
def port(serve: Serve) -> Iterator[int]:
    with serve() as port:
        yield port


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_and_the_server_goes_on(port: int, case: Case | Raw) -> None:
    (outcome,) = outcomes(port, [case], order())
    assert outcome.answered_well, f"{outcome.status}, not {outcome.expected}: {outcome.body}"
    assert outcome.as_before
