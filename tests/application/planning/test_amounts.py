"""What a request amounts to is bounded before anything of it is built (A1111 has no bounds)."""

import time
import tracemalloc

import pytest
from PIL import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.planning.amounts import MAX_STYLES, most_texts, reply_bytes
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.job_limits import MEGAPIXEL, JobAmount, JobLimits
from hexfusion.domain.picture_lists import PictureLists
from hexfusion.domain.prompts import Style
from tests.application.worlds import world

KIB = 1 << 10
SMALL = {"width": 64, "height": 64, "steps": 2}


def amount(limits: JobLimits | None = None, known=(), **fields) -> JobAmount:
    it = world(limits=limits or JobLimits(), styles=known)
    return it.txt2img.prepare(Txt2Img(**{**SMALL, **fields})).amount


def refusal(*args, **fields) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        amount(*args, **fields)
    return refused.value


def of_picture(limits: JobLimits, size=(64, 64), mask=False, count=1, **fields) -> JobAmount:
    picture = Image.new("RGB", size, "red")
    white = Image.new("L", size, "white") if mask else None
    request = Img2Img(**{**SMALL, **fields})
    it = world(limits=limits)
    return it.img2img.prepare(request, InitPictures([picture] * count, white)).amount


def test_the_attack_of_16_kib_128_and_1000_is_refused_before_anything_is_built():
    """It ended in the kernel's OOM killer at 10 GB. Any of three bounds would have stopped it."""
    attack = {"prompt": "a" * 16 * KIB, "batch_size": 128, "n_iter": 1000, "steps": 50}
    attack |= {"width": 512, "height": 512}
    everything = JobLimits(pictures=10**9, pixels=10**15, steps=10**9, text=10**15, reply=10**15)
    it = world()
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(InvalidRequest) as refused:
        it.txt2img.prepare(Txt2Img(**attack))
    took, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.field == "n_iter"
    assert "128000 pictures; it may have 4096 (--job-pictures)" in refused.value.message
    assert peak < MEGAPIXEL
    assert took < 5  # generous: it takes milliseconds
    for bound, field in (("text", "prompt"), ("pixels", "width"), ("steps", "steps")):
        wide = {
            name: getattr(everything, name)
            for name in ("pictures", "pixels", "steps", "text", "reply")
            if name != bound
        }
        assert refusal(JobLimits(**wide), **attack).field == field


def test_what_a_plain_request_amounts_to():
    it = amount(batch_size=3, n_iter=5, prompt="žába", negative_prompt="ugly")
    assert it == JobAmount(
        pictures=15, pixels=15 * 64 * 64, steps=30, text=15 * (6 + 4), reply=it.reply
    )


def test_hires_fix_counts_its_target_and_both_passes():
    hires = {"enable_hr": True, "denoising_strength": 0.5, "hr_scale": 2}
    it = amount(n_iter=2, hr_second_pass_steps=5, **hires)
    assert (it.pixels, it.steps) == (2 * 128 * 128, 2 * (2 + 5))
    assert amount(n_iter=2, **hires).steps == 2 * (2 + 2)


def test_prompts_of_both_passes_count_for_each_picture():
    plain = amount(n_iter=2, prompt="a cat", enable_hr=True, denoising_strength=0.5)
    other = amount(
        n_iter=2, prompt="a cat", hr_prompt="a dog!", enable_hr=True, denoising_strength=0.5
    )
    assert other.text - plain.text == 2


@pytest.mark.parametrize(
    ("limit", "fits", "field"),
    [
        ({"pictures": 6}, {"batch_size": 3, "n_iter": 2}, "n_iter"),
        ({"steps": 12}, {"batch_size": 3, "n_iter": 2}, "steps"),
        ({"pixels": 6 * 64 * 64}, {"batch_size": 3, "n_iter": 2}, "width"),
        ({"picture_pixels": 64 * 64}, {}, "width"),
        ({"batch_pixels": 3 * 64 * 64}, {"batch_size": 3, "n_iter": 2}, "batch_size"),
        ({"text": 60}, {"prompt": "x" * 10, "batch_size": 3, "n_iter": 2}, "prompt"),
        ({"prompt": 10}, {"prompt": "x" * 10}, "prompt"),
        ({"prompt": 10}, {"negative_prompt": "x" * 10}, "negative_prompt"),
        ({"arguments": 8 + 11}, {"override_settings": {}, "script_args": ["abc"]}, "script_args"),
    ],
)
def test_each_bound_holds_to_the_last_one(limit, fits, field):
    (name, most), *_ = limit.items()
    amount(JobLimits(**limit), **fits)
    error = refusal(JobLimits(**{name: most - 1}), **fits)
    assert error.field == field
    assert "(--" in error.message


def test_a_hires_target_is_named_by_its_field():
    fields = {"enable_hr": True, "denoising_strength": 0.5, "hr_scale": 2}
    assert refusal(JobLimits(picture_pixels=128 * 128 - 1), **fields).field == "hr_scale"
    amount(JobLimits(picture_pixels=128 * 128), **fields)


def test_img2img_counts_the_pictures_that_come_out():
    """Under a mask, at full resolution, those have the size of the picture that came in."""
    limits = JobLimits(batch_pixels=2 * 96 * 96)
    assert of_picture(limits, (96, 96), n_iter=2, batch_size=2).pixels == 4 * 64 * 64
    masked = of_picture(limits, (96, 96), mask=True, n_iter=2, batch_size=2)
    assert masked.pixels == 4 * 96 * 96
    two = of_picture(limits, count=2, n_iter=2, batch_size=2)
    assert (two.pictures, two.steps) == (4, 8)
    with pytest.raises(InvalidRequest, match=r"batch_size: 3 pictures of 96x96.*--batch-pixels"):
        of_picture(limits, (96, 96), mask=True, batch_size=3)
    whole = of_picture(limits, (96, 96), mask=True, batch_size=3, inpaint_full_res=False)
    assert whole.pixels == 3 * 64 * 64


def test_lists_of_prompts_count_each_of_theirs():
    it = world(limits=JobLimits(text=100 + 50))
    request = Txt2Img(**SMALL, n_iter=2)
    lists = PictureLists(prompts=("x" * 100, "y" * 50))
    it.txt2img.prepare(request, lists=lists)
    with pytest.raises(InvalidRequest, match="--job-text"):
        it.txt2img.prepare(request, lists=PictureLists(prompts=("x" * 100, "y" * 51)))


class TestStyles:
    def test_they_count_with_the_prompt(self):
        styles = [Style("long", "x" * 50, "")]
        fields = {"prompt": "a cat", "styles": ["long"]}
        longest = len("a cat, ") + 50
        amount(JobLimits(prompt=longest), styles, **fields)
        assert "--prompt-size" in refusal(JobLimits(prompt=longest - 1), styles, **fields).message

    def test_one_that_doubles_the_prompt_is_stopped_at_once(self):
        styles = [Style("twice", "{prompt} {prompt}", "")]
        error = refusal(None, styles, prompt="a cat", styles=["twice"] * 200)
        assert error.field == "styles"
        assert "'twice' makes a prompt longer than 65536 characters" in error.message

    def test_no_more_than_so_many(self):
        amount(prompt="a", styles=["x"] * MAX_STYLES)
        assert refusal(prompt="a", styles=["x"] * (MAX_STYLES + 1)).field == "styles"


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a cat", 1),
        ("[a:b:0.5]", 2),
        ("[a:b:0.5][c:d:3]", 3),
        ("[a|b]", 8),
        ("a | b", 1),
        ("[" * 100, 8),
    ],
)
def test_how_many_texts_a_prompt_becomes_at_most(prompt, texts):
    assert most_texts(prompt, 4) == texts


def test_prompts_that_change_at_each_step_are_bounded_too():
    """60 KB with a thousand steps become 120 MB of schedules."""
    prompt = "[a|b]" + "x" * 60_000
    amount(prompt=prompt)
    error = refusal(prompt=prompt, steps=1000)
    assert (error.field, "--job-text" in error.message) == ("prompt", True)


@pytest.mark.parametrize("field", ["sampler_name", "refiner_checkpoint", "script_name"])
def test_names_are_not_endless(field):
    error = refusal(**{field: "x" * 4097})
    assert (error.field, error.message) == (field, "has more than 4096 bytes")


def test_an_infotext_is_measured_before_it_is_read():
    assert refusal(JobLimits(prompt=10), infotext="x" * 51).field == "infotext"


def test_a_million_arguments():
    error = refusal(alwayson_scripts={"x": {"args": [0] * 10**6}})
    assert (error.field, "--argument-size" in error.message) == ("alwayson_scripts", True)


class TestReplies:
    def test_a_png_at_its_largest_and_what_is_sent(self):
        it = JobAmount(pictures=2, pixels=1000, text=10)
        rest = 10 * 4 + 2 * 2048
        assert reply_bytes(it, "PNG", sends=True) == 4000 + rest
        assert reply_bytes(it, "jpg", sends=True) == 2000 + rest
        assert reply_bytes(it, "png", sends=True, masks=2) == 12000 + rest
        assert reply_bytes(it, "png", sends=False) == rest

    def test_one_that_would_be_too_large_is_refused_before_the_work(self):
        limits = JobLimits(reply=9 * (4 * 64 * 64 + 2048))
        error = refusal(limits, n_iter=10)
        assert (error.field, "--job-reply" in error.message) == ("send_images", True)
        amount(limits, n_iter=9)
        amount(limits, n_iter=10, send_images=False)

    def test_the_stored_format_decides_as_it_does_for_the_reply(self):
        it = world(limits=JobLimits(reply=10 * 4 * 64 * 64))
        request = Txt2Img(**SMALL, n_iter=10, override_settings={"samples_format": "jpg"})
        with pytest.raises(InvalidRequest):
            it.txt2img.prepare(request)
        it.options.update({"samples_format": "jpg"})
        it.txt2img.prepare(request)


def test_a_large_job_of_the_web_interface_fits():
    """Its sliders end at 100 batches of 8; 512 x 512 is its default size, 150 its most steps."""
    it = amount(n_iter=100, batch_size=8, width=512, height=512, steps=150, prompt="x" * 16 * KIB)
    assert it.pictures == 800
    amount(n_iter=100, batch_size=8, width=2048, height=2048, steps=150, send_images=False)
