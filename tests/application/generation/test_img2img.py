"""img2img as a use-case, on the fake backend (spec api.md 6, images.md 1 to 8)."""

import hashlib
import io

import msgspec
import pytest
from PIL import Image, ImageChops

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.domain.errors import InvalidRequest, NotFound, OptionError, Unsupported
from hexfusion.domain.img2img import Img2Img
from tests.application.worlds import world

RED = Image.new("RGB", (64, 64), "red")
BLUE = Image.new("RGB", (64, 64), "blue")


def small(**fields) -> Img2Img:
    return Img2Img(
        **{"prompt": "a cat", "steps": 4, "width": 64, "height": 64, "seed": 1, **fields}
    )


def square(size=(64, 64), box=(16, 16, 48, 48)) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def made(request, *images, mask=None, it=None):
    return (it or world()).img2img(request, InitPictures(images or (RED,), mask))


def told(request, **kwargs) -> str:
    """Infotext from the strength on, without the version."""
    (text,) = made(request, **kwargs).info.infotexts
    return text[text.index("Denoising strength") :].removesuffix(", Version: v1.10.1")


def test_infotext_and_info_of_a_plain_request():
    """Recording default/img2img_minimal."""
    result = made(small())
    assert result.pictures[0].infotext == (
        "a cat\nSteps: 4, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, "
        "Size: 64x64, Model hash: 0123456789, Model: tiny, Denoising strength: 0.75, "
        "Version: v1.10.1"
    )
    assert result.info.denoising_strength == 0.75
    assert result.info.extra_generation_params == {"Denoising strength": 0.75}


def test_the_echo_has_pictures_only_if_asked_to():
    """Spec api.md 6."""
    fields = {"init_images": ["AAAA"], "mask": "BBBB"}
    silent = made(small(**fields), mask=square()).request
    assert (silent.init_images, silent.mask) == (None, None)
    open_ = made(small(**fields, include_init_images=True), mask=square()).request
    assert (open_.init_images, open_.mask) == (["AAAA"], "BBBB")


def test_one_picture_serves_a_whole_batch_and_every_batch():
    result = made(small(batch_size=2, n_iter=2))
    assert len(result.pictures) == 4
    assert result.info.all_seeds == [1, 2, 3, 4]


def test_several_pictures_are_a_batch_of_their_own():
    """Recording img2img/two_init_batch3: the seeds are those of the batch asked for."""
    result = made(small(batch_size=3, n_iter=2), RED, BLUE)
    assert (len(result.pictures), result.info.batch_size) == (4, 2)
    assert result.info.all_seeds == [1, 2, 3, 4, 5, 6]
    assert [text[text.index("Seed") :][:7] for text in result.info.infotexts] == [
        f"Seed: {seed}" for seed in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("images", "message"), [((), "hold a picture"), ((RED, BLUE), "expecting 1")]
)
def test_no_pictures_or_too_many(images, message):
    """Recordings img2img/two_init_batch1, errors/i2i_emptylist."""
    with pytest.raises(InvalidRequest, match=message):
        world().img2img(small(), InitPictures(images))


MASKED = {"mask": square()}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {},
            "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 0, Masked content: fill",
        ),
        ({"inpaint_full_res": False, "inpainting_fill": 1}, "Mask blur: 4"),
        ({"inpaint_full_res": False, "inpainting_fill": 1, "mask_blur_x": 2}, ""),
        ({"inpaint_full_res": False, "inpainting_fill": 9, "mask_blur": 0}, ""),
        (
            {"inpainting_mask_invert": 1, "inpaint_full_res": False, "inpainting_fill": 2},
            "Mask mode: Inpaint not masked, Mask blur: 4, Masked content: latent noise",
        ),
        (
            {"inpaint_full_res_padding": 8, "inpainting_fill": 3, "mask_blur": 2},
            "Mask blur: 2, Inpaint area: Only masked, Masked area padding: 8, "
            "Masked content: latent nothing",
        ),
    ],
)
def test_what_infotext_tells_of_a_mask(fields, expected):
    """Spec prompts.md 8.2."""
    text = told(small(**fields), **MASKED)
    assert text == ", ".join(filter(None, ("Denoising strength: 0.75", expected)))


def test_a_black_mask_is_none():
    """Recording img2img/blackmask_fr."""
    black = Image.new("L", (64, 64))
    assert told(small(), mask=black) == "Denoising strength: 0.75, Mask blur: 4"
    masked, plain = made(small(), mask=black), made(small())
    assert masked.pictures[0].image.tobytes() == plain.pictures[0].image.tobytes()


def test_noise_of_the_request_and_of_the_stored_options_but_not_of_its_overrides():
    """Spec api.md 5.3; recording img2img/inm_opt."""
    key = "initial_noise_multiplier"
    assert "Noise multiplier: 0.5" in told(small(initial_noise_multiplier=0.5))
    assert "Noise" not in told(small(override_settings={key: 0.8}))
    it = world()
    it.options.update({key: 0.8})
    assert "Noise multiplier: 0.8" in told(small(), it=it)
    extra = small(override_settings={"img2img_extra_noise": 0.1})
    assert told(extra) == "Denoising strength: 0.75, Extra noise: 0.1"


@pytest.mark.parametrize("full_res", [True, False])
def test_what_is_not_masked_stays_as_it_was(full_res):
    """Spec images.md 7.1: to the byte, also where only the mask is worked on, at its own size."""
    picture = Image.effect_noise((96, 80), 90).convert("RGB")
    mask = square((96, 80), (40, 32, 64, 56))
    fields = {"inpaint_full_res": full_res, "width": 96, "height": 80, "mask_blur": 0}
    (result,) = made(small(**fields), picture, mask=mask).pictures
    changed = ImageChops.difference(result.image, picture).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert (left >= 40, top >= 32, right <= 64, bottom <= 56) == (True,) * 4


def test_masks_come_behind_their_pictures_if_an_option_asks_for_them():
    """Spec api.md 5.5, images.md 7.2."""
    options = {"return_mask": True, "return_mask_composite": True}
    request = small(batch_size=2, override_settings=options, mask_blur=0, inpaint_full_res=False)
    result = made(request, mask=square())
    modes = [(each.image.mode, each.infotext is None) for each in result.pictures]
    assert modes == [("RGB", False), ("RGB", True), ("RGBA", True)] * 2
    assert len(result.info.infotexts) == 2
    picture, mask, part = (each.image for each in result.pictures[:3])
    assert mask.tobytes() == square().convert("RGB").tobytes()
    assert part.getchannel("A").tobytes() == square().tobytes()
    assert part.getpixel((32, 32))[:3] == picture.getpixel((32, 32))


def test_colours_are_matched_if_an_option_says_so():
    options = {"img2img_color_correction": True}
    plain, matched = made(small()), made(small(override_settings=options))
    red = [each.pictures[0].image.resize((1, 1)).getpixel((0, 0))[0] for each in (plain, matched)]
    assert red[1] > red[0]


def test_what_a_picture_was_before_its_colours_were_matched_is_saved_if_wished():
    """Spec prompts.md 9.1, images.md 7.2: put back, as without matching."""
    it = world()
    options = {"save_images_before_color_correction": True, "img2img_color_correction": True}
    request = small(save_images=True, inpaint_full_res=False, mask_blur=0)
    matched = msgspec.structs.replace(request, override_settings=options)
    result = made(matched, mask=square(), it=it)
    names = [path.rsplit("/", 1)[1] for path in result.files]
    assert names == ["00000-1-before-color-correction.png", "00001-1.png"]
    before = Image.open(io.BytesIO(it.archive.read(result.files[0])))
    (plain,) = made(request, mask=square()).pictures
    assert before.tobytes() == plain.image.tobytes() != result.pictures[0].image.tobytes()


def test_a_transparent_picture_lies_on_the_background_colour():
    """Recording img2img/bgcolor."""
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    fields = {
        "denoising_strength": 0.0,
        "override_settings": {"img2img_background_color": "#00ff00"},
    }
    (picture,) = made(small(**fields), clear).pictures
    assert picture.image.getpixel((5, 5)) == (0, 255, 0)
    with pytest.raises(OptionError) as refused:
        made(small(override_settings={"img2img_background_color": "greenish"}), clear)
    assert refused.value.key == "img2img_background_color"


def test_files_go_into_folders_of_their_own():
    """Recording save/img2img."""
    it = world()
    options = {"save_init_img": True, "save_mask": True, "save_mask_composite": True}
    result = made(small(save_images=True, override_settings=options), mask=square(), it=it)
    digest = hashlib.md5(RED.tobytes()).hexdigest()
    assert f"Init image hash: {digest}" in result.info.infotexts[0]
    names = [path.rsplit("/", 1)[1] for path in result.files]
    assert names == ["00000-1.png", "00001-1-mask.png", "00002-1-mask-composite.png"]
    assert all(path.startswith("outputs/img2img-images/") for path in result.files)
    assert it.archive.read(f"outputs/init-images/{digest}.png")


def test_soft_inpainting_is_told_and_rounds_no_mask():
    """Spec images.md 8, scripts.md 14."""
    scripts = {"Soft inpainting": {"args": [True, 2]}}
    result = made(small(alwayson_scripts=scripts), mask=square())
    extra = list(result.info.extra_generation_params)
    assert extra[:2] == ["Soft inpainting enabled", "Soft inpainting schedule bias"]
    assert extra.index("Denoising strength") == 7
    assert result.request.mask_round is True
    without = made(small(alwayson_scripts=scripts))
    assert "Soft" not in without.info.infotexts[0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"denoising_strength": -0.1}, "denoising_strength"),
        ({"resize_mode": 9}, "resize_mode"),
        ({"mask_blur": 5000}, "mask_blur"),
        ({"inpaint_full_res_padding": -1}, "inpaint_full_res_padding"),
        ({"width": 4}, "width"),
        ({"initial_noise_multiplier": float("inf")}, "initial_noise_multiplier"),
    ],
)
def test_what_is_out_of_bounds_is_named(fields, field):
    with pytest.raises(InvalidRequest) as refused:
        made(small(**fields))
    assert refused.value.field == field


def test_what_there_is_not():
    with pytest.raises(NotFound):
        made(small(script_name="nope"))
    with pytest.raises(NotFound):
        made(small(override_settings={"upscaler_for_img2img": "nope"}))
    with pytest.raises(Unsupported):
        made(small(latent_mask="AAAA"), mask=square())


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)])
def test_a_picture_like_a_thread_is_refused_in_modes_that_keep_its_shape(mode, size):
    with pytest.raises(InvalidRequest, match="init_images"):
        made(small(resize_mode=mode), Image.new("RGB", size))


def test_a_latent_cannot_be_made_of_any_size():
    """Spec images.md 4, mode 3."""
    assert made(small(resize_mode=3), Image.new("RGB", (200, 40))).pictures[0].image.size == (
        64,
        64,
    )
    with pytest.raises(InvalidRequest, match="init_images"):
        made(small(resize_mode=3), Image.new("RGB", (200, 4)))


def test_infotext_fills_only_what_it_may():
    """Spec prompts.md 8.6."""
    facts = "Steps: 2, Sampler: Heun, CFG scale: 3, Seed: 9, Size: 32x32, Denoising strength: 1"
    text = f"a dog\n{facts}"
    request = Img2Img(prompt="a cat", width=64, height=64, infotext=text)
    filled = made(request).request
    assert (filled.steps, filled.sampler_name, filled.seed) == (2, "Heun", 9)
    assert (filled.prompt, filled.width, filled.cfg_scale) == ("a cat", 64, 7)
    assert filled.denoising_strength == 0.75


def test_progress_counts_the_steps_that_are_made():
    """Recording progress/img2img: 11 of 20 at half strength."""
    it, seen = world(), []
    backend = it.img2img._inference

    class Watching:
        def render(self, plan, observer, sources=None):
            def observe(step, of, preview):
                seen.append((it.progress().state.sampling_step, of))
                return observer(step, of, preview)

            return backend.render(plan, observe, sources)

    it.img2img._inference = Watching()
    made(small(steps=20, denoising_strength=0.5), it=it)
    assert [of for _, of in seen] == [11] * 11


def test_a_wrong_type_from_python_is_named():
    with pytest.raises(InvalidRequest, match=r"^mask_blur: must be an integer or None, not '4'"):
        world().img2img(Img2Img(mask_blur="4"), InitPictures([Image.new("RGB", (64, 64))]))
