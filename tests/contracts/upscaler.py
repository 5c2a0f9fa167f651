"""What every upscaler must do. Subclass it where the implementation's tests are."""

import pytest
from PIL import Image, ImageChops

from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.errors import NotFound
from hexfusion.domain.upscalers import PLAIN_UPSCALERS, Tiling, UpscaleSettings

#: Tiles so small that a test's picture has several.
SMALL = UpscaleSettings(
    esrgan=Tiling(16, 4), dat=Tiling(16, 4), swinir=Tiling(16, 4), scunet=Tiling(16, 4)
)


def photo(width: int = 40, height: int = 24, mode: str = "RGB") -> Image.Image:
    """Something with edges and slopes."""
    image = Image.radial_gradient("L").resize((width, height))
    bands = [image, image.rotate(90), ImageChops.invert(image), image]
    return Image.merge("RGBA", bands).convert(mode)


class UpscalerContract:
    """Subclasses give the fixtures `upscaler`, and `names`: those of all that it can use."""

    @pytest.fixture
    def names(self, upscaler: Upscaler) -> list[str]:
        return [each.name for each in upscaler.list(SMALL)]

    def test_the_plain_ones_come_first_and_the_others_by_name(
        self, upscaler: Upscaler, names: list[str]
    ):
        """Spec images.md 9.1."""
        assert tuple(upscaler.list(SMALL))[:3] == PLAIN_UPSCALERS
        assert names[3:] == sorted(names[3:], key=str.lower)
        others = names[3:]  # where there are any, they must tell whether case counts
        assert not others or others != sorted(others)
        assert len(set(names)) == len(names)

    def test_what_is_listed_can_be_used(self, upscaler: Upscaler, names: list[str]):
        for name in names:
            upscaler.check(name, SMALL)

    @pytest.mark.parametrize(
        ("size", "factor", "expected"),
        [
            ((40, 24), 2.0, (80, 48)),
            ((40, 24), 1.0, (40, 24)),
            ((40, 24), 0.5, (16, 8)),  # multiples of 8, rounded down
            ((30, 17), 1.7, (48, 24)),
            ((1, 1), 2.0, (8, 8)),  # of which A1111 makes nothing at all
        ],
    )
    def test_sides_are_multiples_of_8(
        self,
        upscaler: Upscaler,
        names: list[str],
        size: tuple[int, int],
        factor: float,
        expected: tuple[int, int],
    ):
        """Spec images.md 9.2."""
        for name in names:
            assert upscaler.upscale(photo(*size), factor, name, SMALL).size == expected, name

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
    def test_modes(self, upscaler: Upscaler, names: list[str], mode: str):
        """Spec images.md 10.3: networks answer in RGB, the others keep what they get."""
        for name in names:
            larger = upscaler.upscale(photo(mode=mode), 2.0, name, SMALL)
            assert larger.mode == (mode if name in names[:3] else "RGB"), name

    def test_the_picture_is_still_the_same_one(self, upscaler: Upscaler, names: list[str]):
        for name in names[:3]:
            back = upscaler.upscale(photo(), 4.0, name, SMALL).resize(
                (40, 24), Image.Resampling.BOX
            )
            off = ImageChops.difference(back, photo()).getextrema()
            assert max(high for _, high in off) < 24, name

    def test_the_given_picture_stays_as_it_was(self, upscaler: Upscaler, names: list[str]):
        picture = photo()
        for name in names:
            upscaler.upscale(picture, 2.0, name, SMALL)
        assert picture.tobytes() == photo().tobytes()

    def test_the_same_again(self, upscaler: Upscaler, names: list[str]):
        for name in names:
            first = upscaler.upscale(photo(), 2.0, name, SMALL)
            assert upscaler.upscale(photo(), 2.0, name, SMALL).tobytes() == first.tobytes(), name

    def test_tiles_are_told_one_by_one(self, upscaler: Upscaler, names: list[str]):
        for name in names:
            heard: list[tuple[int, int]] = []

            def advance(done: int, of: int, heard: list[tuple[int, int]] = heard) -> Verdict:
                heard.append((done, of))
                return Verdict.CONTINUE

            upscaler.upscale(photo(), 2.0, name, SMALL, advance)
            of = heard[-1][1] if heard else 0
            assert heard[:of] == [(number, of) for number in range(1, of + 1)], name
            assert (of > 1) == (name not in names[:3]), name

    @pytest.mark.parametrize("verdict", [Verdict.INTERRUPT, Verdict.SKIP])
    def test_a_stop_leaves_the_enlarging_to_lanczos(
        self, upscaler: Upscaler, names: list[str], verdict: Verdict
    ):
        """Spec images.md 9.2 and 9.3."""
        plain = upscaler.upscale(photo(), 2.0, "None", SMALL)
        for name in names[3:]:
            heard: list[int] = []

            def advance(done: int, of: int, heard: list[int] = heard) -> Verdict:
                heard.append(done)
                return verdict

            stopped = upscaler.upscale(photo(), 2.0, name, SMALL, advance)
            assert stopped.tobytes() == plain.tobytes(), name
            assert heard == [1]

    @pytest.mark.parametrize("name", ["Nope", "lanczos", "", "../x", "R-ESRGAN 4x++"])
    def test_an_unknown_name_is_not_found(self, upscaler: Upscaler, name: str):
        for ask in (
            lambda: upscaler.check(name, SMALL),
            lambda: upscaler.upscale(photo(), 2.0, name, SMALL),
        ):
            with pytest.raises(NotFound) as caught:
                ask()
            assert (caught.value.kind, caught.value.name) == ("upscaler", name)
