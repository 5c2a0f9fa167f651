"""What every interrogator must do. Subclass it where the implementation's tests are."""

import pytest
from PIL import Image

from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.interrogate import Interrogator
from hexfusion.domain.interrogation import CaptionSearch

SEARCH = CaptionSearch(beams=2, min_length=5, max_length=8)
LISTS = [["red", "a blue sky", "green"], [f"term {number}" for number in range(150)], ["x"]]


def plain(colour: str = "red", size: tuple[int, int] = (40, 24)) -> Image.Image:
    return Image.new("RGB", size, colour)


class InterrogatorContract:
    """Subclasses give the fixture `interrogator`, which can caption, rank and tag."""

    @pytest.fixture(params=[(40, 24), (1, 1), (7, 90)], ids=str)
    def picture(self, request: pytest.FixtureRequest) -> Image.Image:
        return plain(size=request.param)

    def test_a_caption_is_a_sentence(self, interrogator: Interrogator, picture: Image.Image):
        caption = interrogator.caption(picture, SEARCH)
        assert caption == caption.strip()
        assert "\n" not in caption

    def test_ranks_are_probabilities_of_each_list(
        self, interrogator: Interrogator, picture: Image.Image
    ):
        ranked = list(interrogator.rank(picture, LISTS))
        assert [len(each) for each in ranked] == [len(each) for each in LISTS]
        for probabilities in ranked:
            assert sum(probabilities) == pytest.approx(1, abs=1e-5)
            assert all(0 <= each <= 1 for each in probabilities)

    def test_a_list_has_the_same_ranks_in_any_company(self, interrogator: Interrogator):
        alone = [next(iter(interrogator.rank(plain(), [each]))) for each in LISTS]
        for one, other in zip(alone, interrogator.rank(plain(), LISTS), strict=True):
            assert one == pytest.approx(other, abs=1e-6)

    def test_no_lists_have_no_ranks(self, interrogator: Interrogator):
        assert list(interrogator.rank(plain(), [])) == []

    def test_tags_are_told_apart_and_probable(
        self, interrogator: Interrogator, picture: Image.Image
    ):
        scores = interrogator.tags(picture)
        assert scores
        assert len({each.tag for each in scores}) == len(scores)
        assert all(0 <= each.probability <= 1 for each in scores)
        assert [each.tag for each in scores] == [each.tag for each in interrogator.tags(plain())]

    def test_the_given_picture_stays_as_it_was(self, interrogator: Interrogator):
        picture = plain()
        interrogator.caption(picture, SEARCH)
        list(interrogator.rank(picture, LISTS))
        interrogator.tags(picture)
        assert picture.tobytes() == plain().tobytes()

    def test_the_same_again_even_after_a_release(self, interrogator: Interrogator):
        def told() -> tuple[object, ...]:
            return (
                interrogator.caption(plain(), SEARCH),
                [list(each) for each in interrogator.rank(plain(), LISTS)],
                list(interrogator.tags(plain())),
            )

        first = told()
        interrogator.release()
        assert told() == first

    def test_how_far_it_is_is_told(self, interrogator: Interrogator):
        heard: dict[str, list[tuple[int, int]]] = {"caption": [], "rank": [], "tags": []}

        def listen(name: str):  # type: ignore[no-untyped-def]
            def advance(done: int, of: int) -> Verdict:
                heard[name].append((done, of))
                return Verdict.CONTINUE

            return advance

        interrogator.caption(plain(), SEARCH, listen("caption"))
        list(interrogator.rank(plain(), LISTS, listen("rank")))
        interrogator.tags(plain(), listen("tags"))
        for name, told in heard.items():
            assert told, name
            assert all(0 < done <= of for done, of in told), name
            assert [done for done, _ in told] == sorted(done for done, _ in told), name
        assert heard["rank"][-1][0] == heard["rank"][-1][1] > 1

    @pytest.mark.parametrize("verdict", [Verdict.INTERRUPT, Verdict.SKIP])
    def test_a_stop_leaves_what_there_is(self, interrogator: Interrogator, verdict: Verdict):
        def stop(done: int, of: int) -> Verdict:
            return verdict

        assert isinstance(interrogator.caption(plain(), SEARCH, stop), str)
        assert len(list(interrogator.rank(plain(), LISTS, stop))) < len(LISTS)
        assert interrogator.tags(plain(), stop)
