"""The interrogator without torch."""

import pytest

from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.domain.interrogation import best
from hexfusion.domain.interrogation.terms import TermList
from tests.contracts.interrogator import SEARCH, InterrogatorContract, plain


class TestFakeInterrogator(InterrogatorContract):
    @pytest.fixture
    def interrogator(self):
        return FakeInterrogator()


@pytest.mark.parametrize("colour", ["red", "blue", "white"])
def test_it_tells_the_colour(colour):
    fake = FakeInterrogator()
    assert fake.caption(plain(colour), SEARCH) == f"a {colour} picture"
    terms = ("all red", "all blue", "all white")
    (ranks,) = fake.rank(plain(colour), [terms])
    assert best(TermList("colours", terms), ranks)[0][0] == f"all {colour}"
    likeliest = max(fake.tags(plain(colour))[:-1], key=lambda score: score.probability)
    assert likeliest.tag == colour
