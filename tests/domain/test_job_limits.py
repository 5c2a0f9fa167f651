"""The bounds of a job: each holds exactly, and names the field and the flag."""

import os

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.flags import LIMITS, parse_flags
from hexfusion.domain.job_limits import (
    DEFAULT_LIMITS,
    MEGAPIXEL,
    JobAmount,
    JobFields,
    JobLimits,
    size_of_arguments,
    text_bytes,
)

SMALL = JobLimits(
    pictures=3, pixels=2 * MEGAPIXEL, steps=30, reply=4 << 20, text=1 << 20, prompt=2048,
    batch_pixels=MEGAPIXEL, picture_pixels=MEGAPIXEL, arguments=1024,
)  # fmt: skip


@pytest.mark.parametrize(
    ("what", "most", "field", "message"),
    [
        ("pictures", 3, "n_iter", "would have 4 pictures; it may have 3 (--job-pictures)"),
        ("steps", 30, "steps", "31 steps, of all pictures; it may have 30 (--job-steps)"),
        ("pixels", 2 << 20, "width", "3 megapixels; it may have 2 megapixels (--job-pixels)"),
        ("text", 1 << 20, "prompt", "; it may have 1 MiB (--job-text)"),
        ("reply", 4 << 20, "send_images", "up to 5 MiB; it may have 4 MiB (--job-reply)"),
    ],
)
def test_an_amount_may_be_as_large_as_its_bound_and_no_larger(what, most, field, message):
    SMALL.check(JobAmount(**{what: most}))
    with pytest.raises(InvalidRequest) as refused:
        SMALL.check(JobAmount(**{what: most + 1}))
    assert refused.value.field == field
    assert message in refused.value.message
    with pytest.raises(InvalidRequest) as refused:
        SMALL.check(JobAmount(**{what: most + 1}), JobFields.all("script_args"))
    assert refused.value.field == "script_args"


def test_a_picture_and_a_batch():
    SMALL.check_picture((1024, 1024), "hr_scale")
    SMALL.check_batch((512, 512), 4)
    with pytest.raises(InvalidRequest, match=r"hr_scale: .*1025x1024.* 1 megapixels \(--picture-"):
        SMALL.check_picture((1025, 1024), "hr_scale")
    with pytest.raises(InvalidRequest, match=r"batch_size: 5 pictures of 512x512.*--batch-pixels"):
        SMALL.check_batch((512, 512), 5)
    assert SMALL.allows((2048, 512))
    assert not SMALL.allows((2048, 513))


def test_an_infotext_may_be_five_times_as_long_as_a_prompt():
    for field, most in (("prompt", 2048), ("infotext", 5 * 2048)):
        SMALL.check_prompt(field, most)
        with pytest.raises(InvalidRequest, match=rf"{field}: .*--prompt-size"):
            SMALL.check_prompt(field, most + 1)
        assert SMALL.maxima()[field] == {"maxLength": most}


def test_amounts_add_and_multiply():
    one = JobAmount(pictures=1, pixels=2, steps=3, text=4, reply=5)
    assert one + one == one * 2 == JobAmount(pictures=2, pixels=4, steps=6, text=8, reply=10)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 8),
        ("abc", 11),
        ("žluť", 8 + 6),
        ("\ud800", 8 + 3),
        ([1, [2.5, True]], 5 * 8),
        ({"key": ["value"]}, 8 + 11 + 8 + 13),
    ],
)
def test_sizes_of_arguments(value, size):
    assert size_of_arguments(value, 1000) == size


def test_counting_ends_soon_after_the_bound():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep, "a" * 10]
    assert 1000 < size_of_arguments(deep, 1000) < 1100
    assert size_of_arguments([0] * 10**6, 1000) == 8 + 8 * 10**6
    assert size_of_arguments(dict.fromkeys(range(1000)), 1000) == 8 + 8000


@pytest.mark.parametrize("text", ["", "abc", "é", "語", "😀", "\ud83d"])
def test_the_bytes_of_a_text(text):
    assert text_bytes(text) == len(text.encode("utf-8", "surrogatepass"))


def test_the_defaults_of_flags_are_those_of_the_struct():
    flags = parse_flags([], {}, absolute=os.path.abspath)
    assert flags.job_limits() == DEFAULT_LIMITS


def test_each_bound_has_its_flag():
    """A flag that is set changes one bound, in its unit; and every bound has one."""
    changed = set()
    for flag in LIMITS:
        flags = parse_flags([flag.option, "7"], {}, absolute=os.path.abspath)
        limits = flags.job_limits()
        differ = {
            name: getattr(limits, name)
            for name in JobLimits.__struct_fields__
            if getattr(limits, name) != getattr(DEFAULT_LIMITS, name)
        }
        assert len(differ) <= 1
        for name, value in differ.items():
            unit = {"megapixels": MEGAPIXEL, "MiB": 1 << 20, "KiB": 1 << 10}.get(flag.unit, 1)
            assert value == 7 * unit
            changed.add(name)
    assert changed == set(JobLimits.__struct_fields__)
