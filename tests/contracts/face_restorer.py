"""What every face restorer must do. Subclass it where the implementation's tests are."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageChops

from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import NotFound
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, GFPGAN, FaceRestoration

Box = tuple[int, int, int, int]


def by(model: str, weight: float = 0.0) -> FaceRestoration:
    return FaceRestoration(model=model, weight=weight)


class FaceRestorerContract:
    """Subclasses give the fixtures `restorer`; `faceless`, a picture without a face; `portrait`, an
    RGB picture with one; and `box`: beyond it the portrait may not change."""

    def test_names_are_a1111s_and_in_its_order(self, restorer: FaceRestorer):
        """Spec api.md 14."""
        assert list(restorer.list()) == [CODEFORMER, GFPGAN] == list(FACE_RESTORERS)

    def test_what_is_listed_can_be_used(self, restorer: FaceRestorer):
        for name in restorer.list():
            restorer.check(name)

    @pytest.mark.parametrize("name", ["", "None", "codeformer", "GFPGAN ", "../GFPGAN"])
    def test_an_unknown_name_is_not_found(
        self, restorer: FaceRestorer, portrait: Image.Image, name: str
    ):
        """A1111 leaves the picture as it was (spec images.md 11)."""
        for ask in (
            lambda: restorer.check(name),
            lambda: restorer.restore(portrait, by(name)),
        ):
            with pytest.raises(NotFound) as caught:
                ask()
            assert (caught.value.kind, caught.value.name) == ("face restorer", name)

    def test_a_face_changes_and_nothing_else(
        self, restorer: FaceRestorer, portrait: Image.Image, box: Box
    ):
        """Spec images.md 11, step 5: what is outside the mask stays, to the byte."""
        for name in restorer.list():
            mended = restorer.restore(portrait, by(name))
            assert (mended.mode, mended.size) == ("RGB", portrait.size)
            changed = ImageChops.difference(mended, portrait).getbbox()
            assert changed, name
            assert changed[0] >= box[0] and changed[1] >= box[1], name
            assert changed[2] <= box[2] and changed[3] <= box[3], name

    def test_without_a_face_nothing_changes(self, restorer: FaceRestorer, faceless: Image.Image):
        for name in restorer.list():
            assert restorer.restore(faceless, by(name)).tobytes() == faceless.tobytes(), name

    @pytest.mark.parametrize("size", [(1, 1), (1, 30), (31, 2)])
    def test_small_pictures(self, restorer: FaceRestorer, size: tuple[int, int]):
        picture = Image.new("RGB", size, (10, 20, 30))
        for name in restorer.list():
            assert restorer.restore(picture, by(name)).tobytes() == picture.tobytes(), name

    def test_the_given_picture_stays_as_it_was(self, restorer: FaceRestorer, portrait: Image.Image):
        before = portrait.tobytes()
        for name in restorer.list():
            restorer.restore(portrait, by(name))
        assert portrait.tobytes() == before

    def test_the_same_again_whoever_else_is_asking(
        self, restorer: FaceRestorer, portrait: Image.Image
    ):
        asked = [(by(name), seed) for name in restorer.list() for seed in (1, 2)]

        def restore(asked: tuple[FaceRestoration, int]) -> bytes:
            return restorer.restore(portrait, asked[0], seed=asked[1]).tobytes()

        alone = [restore(each) for each in asked]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(restore, asked)) == alone

    def test_gfpgans_noise_is_the_seeds(self, restorer: FaceRestorer, portrait: Image.Image):
        """Spec images.md 11, step 4."""
        one, two = (restorer.restore(portrait, by(GFPGAN), seed=seed) for seed in (1, 2))
        assert one.tobytes() != two.tobytes()

    def test_codeformer_has_a_weight_and_no_noise(
        self, restorer: FaceRestorer, portrait: Image.Image
    ):
        """Spec images.md 11, step 4."""
        low, high = (restorer.restore(portrait, by(CODEFORMER, weight)) for weight in (0.0, 1.0))
        assert low.tobytes() != high.tobytes()
        assert restorer.restore(portrait, by(CODEFORMER), seed=7).tobytes() == low.tobytes()

    def test_faces_are_told_one_by_one(
        self, restorer: FaceRestorer, portrait: Image.Image, faceless: Image.Image
    ):
        heard: list[tuple[int, int]] = []

        def advance(done: int, of: int) -> Verdict:
            heard.append((done, of))
            return Verdict.CONTINUE

        restorer.restore(faceless, by(CODEFORMER), advance=advance)
        assert heard == []
        restorer.restore(portrait, by(CODEFORMER), advance=advance)
        assert heard == [(1, 1)]

    def test_stopped_after_a_face_the_picture_has_that_face(
        self, restorer: FaceRestorer, portrait: Image.Image
    ):
        def advance(done: int, of: int) -> Verdict:
            return Verdict.INTERRUPT

        stopped = restorer.restore(portrait, by(CODEFORMER), advance=advance)
        assert stopped.tobytes() == restorer.restore(portrait, by(CODEFORMER)).tobytes()

    def test_unloaded_networks_work_again(self, restorer: FaceRestorer, portrait: Image.Image):
        """Option face_restoration_unload."""
        for name in restorer.list():
            usual = restorer.restore(portrait, by(name)).tobytes()
            how = FaceRestoration(model=name, weight=0.0, unload=True)
            assert [restorer.restore(portrait, how).tobytes() for _ in range(2)] == [usual] * 2
