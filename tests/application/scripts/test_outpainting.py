"""Both outpaintings (spec scripts.md 10 and 11), on the fake backend.

Their answers: tests/test_script_recordings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.scripts.selectable.outpainting_mk2 import OutpaintStep
from hexfusion.application.scripts.selectable.poor_mans_outpainting import frame
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.scripts.outpainting import SIDES, growth
from tests.application.scripts.scripted import PICTURE, made, names, of_picture
from tests.application.worlds import world


def mk2(pixels=32, blur=0, sides=("left",), **fields):
    return of_picture("outpainting mk2", "", pixels, blur, list(sides), 1.0, 0.05, **fields)


def poor(pixels=16, blur=0, content=1, sides=("right",), **fields):
    return of_picture("poor man's outpainting", pixels, blur, content, list(sides), **fields)


@pytest.mark.parametrize(
    ("size", "pixels", "sides", "expected"),
    [
        ((128, 128), 64, SIDES, (64, 64, 64, 64)),
        ((128, 128), 8, ("left", "right"), (32, 32, 0, 0)),
        ((100, 60), 20, ("left", "up"), (28, 0, 68, 0)),
        ((101, 60), 1, ("left", "right"), (13, 14, 0, 0)),
    ],
)
def test_a_picture_grows_to_multiples_of_64(size, pixels, sides, expected):
    grown = growth(size, pixels, sides)
    assert (grown.left, grown.right, grown.up, grown.down) == expected


@given(
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.integers(8, 300),
    st.sets(st.sampled_from(SIDES), min_size=1),
)
def test_it_grows_where_it_is_to_and_nowhere_else(size, pixels, sides):
    grown = growth(size, pixels, tuple(sides))
    for side in SIDES:
        assert (getattr(grown, side) > 0) is (side in sides)
    for length, old, pair in zip(
        grown.target, size, (("left", "right"), ("up", "down")), strict=True
    ):
        assert length % 64 == 0 if set(pair) & sides else length == old


@pytest.mark.parametrize(
    ("side", "box"),
    [("left", (64, 0)), ("right", (0, 0)), ("up", (0, 64)), ("down", (0, 0))],
)
@pytest.mark.parametrize("script", [mk2, poor])
def test_the_old_picture_stays_where_it_was(script, side, box):
    result = made(script(32, 0, sides=[side])).pictures[0].image
    assert sorted(result.size) == [64, 128]
    inner = result.crop((*box, box[0] + 64, box[1] + 64))
    same = ImageChops.difference(inner, PICTURE).crop((4, 4, 60, 60)).getbbox()
    assert (script is mk2 and same is None) or script is poor
    around = {"left": (0, 0, 60, 64), "right": (68, 0, 128, 64)}
    grown = around.get(side) or ((0, 0, 64, 60) if side == "up" else (0, 68, 64, 128))
    assert result.crop(grown).getextrema() != ((0, 0),) * 3


def test_tiles_within_the_old_picture_are_kept():
    """Poor man's: only what reaches into the border is inpainted, each with a seed more."""
    wide = Image.effect_noise((256, 64), 80).convert("RGB")
    result = world().img2img(poor(32, sides=["right"]), InitPictures([wide]))
    picture = result.pictures[0].image
    assert picture.size == (320, 64)
    assert picture.crop((0, 0, 192, 64)).tobytes() == wide.crop((0, 0, 192, 64)).tobytes()
    assert result.info.all_seeds == [8]  # starts 0, 32 ... 256: the last two reach beyond 256


def test_masks_are_black_in_the_old_picture_less_their_margins():
    grown = growth((64, 64), 32, ("left", "down"))
    mask = frame(grown, grown.target, 8)
    assert mask.size == (128, 128)
    assert [mask.getpixel(at) for at in ((71, 5), (72, 5), (127, 0), (90, 56), (90, 57))] == [
        255, 0, 0, 0, 255,
    ]  # fmt: skip
    step = OutpaintStep("left", 64, (64, 64), (4, 4), mk2(width=96))
    assert (step.size, step.canvas, step.working) == ((128, 64), (128, 64), (96, 64))
    assert (step.part, step.corner((96, 64))) == ((0, 0, 96, 64), (0, 0))
    blacks = [each.convert("L").point(lambda v: 255 - v).getbbox() for each in
              (step.mask, step.latent_mask)]  # fmt: skip
    assert blacks == [(68, 0, 128, 64), (72, 0, 96, 64)]


def test_what_is_told_and_saved():
    result = made(mk2(blur=4, sides=["left", "right"], batch_size=2))
    assert [each.image.size for each in result.pictures] == [(256, 64), (128, 64), (128, 64)]
    assert "Mask blur" not in result.info.infotexts[0]  # across 16, down 0: no common one
    assert names(result) == ["00000-7.png", "00001-7.png", "grid-0000.png"]
    assert result.info.index_of_first_image == 0
    one = made(poor(blur=4, content="fill"))
    assert "Mask blur: 8" in one.info.infotexts[0]
    assert "Masked content: fill" in one.info.infotexts[0]
    assert names(one) == ["00000-7.png"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (mk2(sides=[]), r"\[3\] Outpainting direction must be some of"),
        (poor(sides=[]), r"\[3\] Outpainting direction must be some of"),
        (poor(64), r"\[0\] Pixels to expand must be below the tile's 64"),
        (poor(content=4), r"\[2\] Masked content must be from 0 to 3"),
        (mk2(4096), "sides may have 4096"),
        (mk2(sides=["left", "sideways"]), "a list of left"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(request_, said):
    with pytest.raises(InvalidRequest, match=said) as refused:
        world().img2img.prepare(request_, InitPictures([PICTURE]))
    assert refused.value.field == "script_args"


def test_an_interrupt_leaves_the_sides_to_come():
    it = world()
    from hexfusion.application.jobs.job import Job

    for request in (mk2(sides=SIDES), poor(sides=SIDES)):
        make = it.img2img.prepare(request, InitPictures([PICTURE]))
        with it.jobs.admit(Job("img2img", lambda: 0.0)) as job:
            it.jobs.interrupt()
            result = make(job)
        assert len(result.pictures) == 1
