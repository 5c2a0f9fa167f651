"""What infotext lists behind its fixed keys, and in which order (spec prompts.md 8.2, api.md 9)."""

import pytest

from hexfusion.domain.generation import Txt2Img
from tests.application.worlds import world

DISCARD = {"always_discard_next_to_last_sigma": True}
SGM = {"sgm_noise_multiplier": True}


def extra(**fields: object) -> dict[str, object]:
    """`info.extra_generation_params` of a small picture."""
    request = Txt2Img(prompt="a cat", steps=2, width=64, height=64, seed=1, **fields)
    return dict(world().txt2img(request).info.extra_generation_params)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"sampler_name": "Euler"}, None),  # automatic: the model's own spacing
        ({"sampler_name": "Euler", "scheduler": "Karras"}, "Karras"),
        ({"sampler_name": "DPM++ 2M"}, "Karras"),  # the sampler's own choice
        ({"sampler_name": "DPM++ 2M", "scheduler": "Uniform"}, "Uniform"),
        ({"sampler_name": "DPM++ 2M SDE"}, "Exponential"),
        ({"sampler_name": "DDIM"}, None),  # it steps through training times
        ({"sampler_name": "DDIM", "scheduler": "Karras"}, None),
    ],
)
def test_the_schedule_is_told_where_there_is_one_to_tell(fields: dict[str, object], shown):
    assert extra(**fields).get("Schedule type") == shown


def test_a_samplers_own_schedule_is_told_behind_what_discards_a_sigma():
    """Recording starter/discard_sigma_sgm: A1111 knows it only when it builds the schedule."""
    own = extra(sampler_name="DPM++ 2M", override_settings={**DISCARD, **SGM})
    assert [*own] == ["Discard penultimate sigma", "Schedule type", "SGM noise multiplier"]
    named = extra(sampler_name="DPM++ 2M", scheduler="Karras", override_settings={**DISCARD, **SGM})
    assert [*named] == ["Schedule type", "Discard penultimate sigma", "SGM noise multiplier"]


@pytest.mark.parametrize(
    ("sampler", "told"), [("Euler", True), ("DDIM", False)], ids=["sigmas", "timesteps"]
)
def test_what_scales_the_first_noise_is_told_where_there_are_sigmas(sampler: str, told: bool):
    assert ("SGM noise multiplier" in extra(sampler_name=sampler, override_settings=SGM)) == told


def test_extra_noise_is_told_of_a_pass_from_a_picture_alone():
    """Option img2img_extra_noise: a second pass starts from one, too."""
    noisy = {"img2img_extra_noise": 0.1}
    assert "Extra noise" not in extra(override_settings=noisy)
    hires = {"enable_hr": True, "denoising_strength": 0.5}
    assert extra(override_settings=noisy, **hires)["Extra noise"] == 0.1


def test_a_second_passs_schedule_is_told_by_its_own_label():
    hires = {"enable_hr": True, "denoising_strength": 0.5, "hr_sampler_name": "DPM++ 2M"}
    told = extra(sampler_name="Euler", **hires)
    assert "Schedule type" not in told
    assert told["Hires schedule type"] == "Karras"
