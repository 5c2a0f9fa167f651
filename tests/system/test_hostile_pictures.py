"""Odd and malformed pictures to a whole server (issue 5). All of them: `make test-slow`, and
benchmarks/hostile_pictures.py with figures."""

from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks import hostile_pictures
from benchmarks.harness import Reply
from benchmarks.hostile_pictures import KINDS, ROUTES, Sender, complaint, pictures_by_kind
from benchmarks.odd_pictures import Odd
from tests.system.conftest import Serve

#: Of each kind, every so manieth to two routes: here they are to be quick. What explodes is
#: expensive to make; `tests/application/pictures/test_costly_files.py` has its own.
EVERY = 9


@pytest.fixture(scope="module")
def sender(serve: Serve) -> Iterator[Sender]:
    with serve() as port:
        yield Sender(port)


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "exploding"])
def test_some_of_each_kind(sender: Sender, kind: str) -> None:
    ((_, pictures),) = pictures_by_kind((kind,), EVERY)
    result = sender.tally(kind, pictures, routes=2)
    assert result.wrong == []
    assert result.answered + result.refused == 2 * len(pictures)


def test_there_are_five_hundred_and_no_two_are_the_same() -> None:
    cheap = [each for each in KINDS if each != "exploding"]
    pictures = [odd for _, each in pictures_by_kind(cheap) for _, odd in each]
    assert len(pictures) >= 500
    assert Counter(odd.text for odd in pictures).most_common(1)[0][1] == 1
    again = [odd for _, each in pictures_by_kind(cheap) for _, odd in each]
    assert again == pictures


SOUND = Odd("x", "x", "x", answered=True, size=(16, 16))
NAMED = b'{"detail": [{"loc": ["body", "image"], "msg": "no", "type": "value_error"}]}'


@pytest.mark.parametrize(
    ("answered", "status", "body", "said"),
    [
        (True, 500, b"", "500"),
        (None, 501, b"", "501"),
        (True, 422, NAMED, "refused"),
        (None, 422, NAMED, None),
        (None, 422, NAMED.replace(b'"image"', b'"mask"'), "names no field"),
        (None, 400, b"no", "names no field"),
        (False, 200, b'{"caption": "a cat"}', "no picture"),
        (None, 200, b'{"caption": ""}', "caption"),
        (None, 200, b'{"caption": "a cat"}', None),
    ],
)
def test_what_counts_as_wrong(
    answered: bool | None, status: int, body: bytes, said: str | None
) -> None:
    route = next(each for each in ROUTES if each.name == "interrogate")
    odd = Odd("x", "x", "x", answered=answered)
    found = complaint(odd, route, Reply(status, {}, body, 0.1), 0.1)
    assert (found is None) if said is None else (said in (found or ""))


def test_an_answer_that_takes_too_long_counts_as_wrong() -> None:
    reply = Reply(200, {}, b'{"caption": "a cat"}', 0.1)
    route = next(each for each in ROUTES if each.name == "interrogate")
    late = complaint(Odd("x", "x", "x"), route, reply, hostile_pictures.PATIENCE + 1)
    assert late == "took 31 s"


def test_a_picture_of_another_size_or_the_wrong_way_up_counts_as_wrong() -> None:
    assert hostile_pictures.kept(SOUND, hostile_pictures.SOUND) == "(64, 64), not (16, 16)"
    turned = Odd("x", "x", "x", size=(64, 64), corner=(0, 255, 0))
    assert "left above" in (hostile_pictures.kept(turned, hostile_pictures.SOUND) or "")
    upright = Odd("x", "x", "x", size=(64, 64), corner=(255, 0, 0))
    assert hostile_pictures.kept(upright, hostile_pictures.SOUND) is None


@pytest.mark.slow
def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile_pictures.main([]) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.torch
def test_some_over_the_shipped_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    cheap = [each for each in KINDS if each != "exploding"]
    arguments = ["--torch", "--every", "8", "--only", *cheap]
    assert hostile_pictures.main(arguments) == 0, capsys.readouterr().out
