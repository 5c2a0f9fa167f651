"""Loopback (spec scripts.md 8), on the fake backend. Its answers: tests/test_script_recordings."""

import math
from dataclasses import replace

import pytest
from PIL import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import Unsupported
from hexfusion.domain.scripts.loopback import Loopback, strength_of
from tests.application.scripts.scripted import PICTURE, made, names, of_picture
from tests.application.worlds import world


def loops(count=3, final=0.4, curve="Linear", caption="None", **fields):
    return of_picture("loopback", count, final, curve, caption, **fields)


@pytest.mark.parametrize(
    ("curve", "strengths"),
    [
        ("Linear", [0.8, 0.6, 0.4]),
        ("Aggressive", [0.8, 0.8 - 0.4 * math.sqrt(0.5), 0.4]),
        ("Lazy", [0.8, 0.8 - 0.4 * (1 - math.sqrt(0.5)), 0.4]),
    ],
)
def test_the_strength_goes_its_way(curve, strengths):
    arguments = Loopback(3, 0.4, curve)
    assert [strength_of(n, 0.8, arguments) for n in range(3)] == pytest.approx(strengths)
    assert strength_of(1, 0.8, Loopback(1, 0.4, curve)) == 0.8


def test_each_picture_is_made_from_the_one_before():
    result = made(loops(2, 0.4, denoising_strength=0.8))
    grid, first, second = (each.image for each in result.pictures)
    assert grid.size == (128, 64)

    def alone(picture, **fields):
        asked = of_picture("", **{"script_name": None, **fields})
        return world().img2img(asked, InitPictures([picture])).pictures[0].image

    assert first.tobytes() == alone(PICTURE, denoising_strength=0.8).tobytes()
    assert second.tobytes() == alone(first, denoising_strength=0.4, seed=8).tobytes()


def test_several_chains_show_their_ends():
    result = made(loops(2, n_iter=3))
    assert len(result.pictures) == 4
    assert result.info.all_seeds == [12]
    again = made(loops(2))
    assert result.pictures[1].image.tobytes() == again.pictures[2].image.tobytes()


def test_what_is_saved():
    """Pictures only if asked for; the grid whatever the request says."""
    assert names(made(loops(2))) == ["grid-0000.png"]
    assert names(made(loops(2, save_images=True))) == [
        "00000-7.png",
        "00001-8.png",
        "grid-0000.png",
    ]
    assert names(made(loops(1))) == []
    hidden = made(loops(2, override_settings={"return_grid": False, "grid_save": False}))
    assert (len(hidden.pictures), hidden.files) == (2, ())


def test_colours_are_always_matched_to_the_first_picture():
    """Spec scripts.md 8."""
    options = {"img2img_color_correction": True}
    matched = made(loops(3, 0.9, denoising_strength=0.9, override_settings=options))
    plain = made(loops(3, 0.9, denoising_strength=0.9))

    def colourful(result):
        low = result.pictures[3].image.resize((1, 1)).getpixel((0, 0))
        return max(low) - min(low)

    assert colourful(matched) < colourful(plain)  # the first picture was grey


def test_masked_content_is_the_picture_from_the_second_loop_on():
    mask = Image.new("L", (64, 64), 255)
    fields = {"inpainting_fill": 3, "denoising_strength": 0.5, "inpaint_full_res": False}
    texts = [each.infotext for each in made(loops(2, **fields), mask=mask).pictures[1:]]
    assert ["Masked content: latent nothing" in text for text in texts] == [True, False]


@pytest.mark.parametrize(("caption", "model"), [("CLIP", "clip"), ("DeepBooru", "deepdanbooru")])
def test_captions_join_the_prompt(caption, model):
    """Spec scripts.md 8: of the picture that a loop starts from, behind the original prompt."""
    heard = []

    def words(picture, by, options, advance):
        heard.append((by, picture.tobytes()))
        assert advance(0, 1) is Verdict.CONTINUE
        return f"picture {len(heard)}"

    it = world()
    it.img2img._tools = replace(it.img2img._tools, words=words)
    result = made(loops(2, caption=caption), it)
    texts = [each.infotext.partition("\n")[0] for each in result.pictures[1:]]
    assert texts == ["a cat, picture 1", "a cat, picture 2"]
    assert heard == [(model, PICTURE.tobytes()), (model, result.pictures[1].image.tobytes())]
    assert made(loops(2, caption=caption, prompt=""), it).info.all_prompts == ["picture 4"]


def test_captions_need_somebody_who_finds_them():
    with pytest.raises(Unsupported):
        world().img2img.prepare(loops(caption="CLIP"), InitPictures([PICTURE]))
