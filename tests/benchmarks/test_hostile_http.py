"""When an attack counts as one that got through. The attacks themselves: `make test-slow`."""

import pytest

from benchmarks import hostile_http
from benchmarks.hostile_http import SECRET, Answer, leaked, let_in, misread
from benchmarks.hostile_inputs import Attack

ATTACK = Attack("any", b"")


def answer(status: int, body: bytes = b"") -> Answer:
    return Answer(status, body, 0.0)


@pytest.mark.parametrize(
    ("status", "through"), [(200, True), (302, True), (401, False), (404, False), (0, False)]
)
def test_the_door_is_open_where_it_does_not_refuse(status: int, through: bool) -> None:
    assert bool(let_in(ATTACK, answer(status))) == through


@pytest.mark.parametrize(
    ("body", "through"), [(SECRET.encode(), True), (b"root:x:0:0", True), (b"refused", False)]
)
def test_a_secret_that_comes_back_is_a_leak_whatever_the_status(body: bytes, through: bool) -> None:
    assert bool(leaked(ATTACK, answer(500, body))) == through


def test_what_is_no_request_is_not_to_be_answered_as_one() -> None:
    assert misread(ATTACK, answer(200))
    assert not misread(ATTACK, answer(400))
    assert not misread(Attack("a liberty that is allowed", b"", answers=1), answer(200))


@pytest.mark.slow
@pytest.mark.parametrize("kind", hostile_http.KINDS)
def test_nothing_gets_through(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile_http.main(["--only", kind]) == 0, capsys.readouterr().out
