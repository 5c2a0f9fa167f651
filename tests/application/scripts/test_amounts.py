"""Scripts make many pictures of one request: all of them together are bounded, before any is made.

Source: spec scripts.md 6 to 11 (how many each script makes).
"""

import time

import pytest
from PIL import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.job_limits import JobLimits
from tests.application.scripts.scripted import PICTURE, of_picture, of_text
from tests.application.worlds import world

FILE = "prompts from file or textbox"
MATRIX = ("prompt matrix", False, False, "positive", "comma", 0)
NEGATIVE = ("prompt matrix", False, False, "negative", "comma", 0)
UPSCALE = ("sd upscale", None, 16, "Lanczos", 2.0)
LOOPBACK = ("loopback", 5, 0.5, "Linear", "None")
MK2 = ("outpainting mk2", None, 16, 0, ["left", "down"], 1.0, 0.05)


def prepare(request, picture=PICTURE, **limits) -> None:
    it = world(limits=JobLimits(**limits))
    if isinstance(request, Txt2Img):
        it.txt2img.prepare(request)
    else:
        it.img2img.prepare(request, InitPictures([picture]))


def refusal(request, picture=PICTURE, **limits) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        prepare(request, picture, **limits)
    return refused.value


@pytest.mark.parametrize(
    ("request_of", "limit", "most", "field"),
    [
        # 3 lines, of which one has 4 batches
        (of_text(FILE, False, False, "start", "a\n--n_iter 4\nb"), "pictures", 6, "script_args"),
        (of_text(FILE, False, False, "start", "a\n--steps 5"), "steps", 7, "script_args"),
        (of_text(FILE, False, False, "end", "abcd\nefgh", prompt="xy"), "text", 14, "script_args"),
        (of_text(*MATRIX, prompt="a|b|c|d"), "pictures", 8, "prompt"),
        (of_text(*NEGATIVE, prompt="", negative_prompt="a|b"), "pictures", 2,
         "negative_prompt"),
        # each optional part is in half of the prompts, with a separator
        (of_text(*MATRIX, prompt="aaaa|bbbb"), "text", 4 + 10, "prompt"),
        (of_picture(*LOOPBACK, n_iter=2), "pictures", 10, "script_args"),
        (of_picture(*LOOPBACK, n_iter=2), "steps", 20, "script_args"),
        # 64x64 twice as large in tiles of 64 with 16 over: 3x3 of them, 2 steps each
        (of_picture(*UPSCALE, n_iter=3), "steps", 3 * 9 * 2, "script_args"),
        (of_picture(*UPSCALE, n_iter=3), "pictures", 3, "script_args"),
        (of_picture(*MK2, n_iter=3, batch_size=2),
         "pictures", 6, "script_args"),
        (of_picture(*MK2, n_iter=3, batch_size=2),
         "batch_pixels", 2 * 128 * 128, "batch_size"),
        (of_picture("poor man's outpainting", 16, 4, "fill", ["left"]), "picture_pixels", 128 * 64,
         "script_args"),
    ],
)  # fmt: skip
def test_each_script_is_bounded_as_a_whole(request_of, limit, most, field):
    prepare(request_of, **{limit: most})
    assert refusal(request_of, **{limit: most - 1}).field == field


def test_a_file_of_a_million_lines_is_refused_before_it_is_planned():
    began = time.perf_counter()
    error = refusal(of_text(FILE, False, False, "start", "a\n" * 10**6))
    assert (error.field, "1000000 pictures" in error.message) == ("script_args", True)
    assert time.perf_counter() - began < 20  # generous: planning a line takes a millisecond


@pytest.mark.parametrize(
    "request_of",
    [
        of_picture("sd upscale", None, 63, "None", 4.0),
        of_picture("poor man's outpainting", 63, 4, "fill", ["left", "right", "up", "down"]),
    ],
)
def test_tiles_without_number_are_counted_before_they_are_listed(request_of):
    """Tiles of 64 pixels that overlap by 63 are as many as pixels."""
    picture = Image.new("RGB", (2000, 2000))
    began = time.perf_counter()
    assert "batches" in refusal(request_of, picture).message
    assert time.perf_counter() - began < 20
