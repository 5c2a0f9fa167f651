"""Hires fix and refiner as a use-case, on the fake backend (spec sampling.md 5.4 and 6.4)."""

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.results import Generated
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.plan import Plan
from tests.application.worlds import OTHER, World, world


def hires(**fields) -> Txt2Img:
    given = {"denoising_strength": 0.6, "hr_upscaler": "Latent", **fields}
    return Txt2Img(prompt="a cat", steps=3, width=64, height=64, seed=1, enable_hr=True, **given)


class Remembering(FakeInference):
    """Keeps the plans it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []

    def render(self, plan, observer, sources=None):
        self.plans.append(plan)
        return super().render(plan, observer)


def planned(request: Txt2Img, **options: object) -> Plan:
    """The plan of a request's first batch."""
    backend = Remembering()
    it = world(backend)
    it.options.update(options)
    it.txt2img(request)
    return backend.plans[0]


def parameters(result: Generated) -> str:
    return result.pictures[0].infotext.rpartition("\n")[2]


def made(request: Txt2Img, it: World | None = None) -> str:
    return parameters((it or world()).txt2img(request))


def test_the_plain_infotext():
    """Spec prompts.md 8.2; recording hires/up_Latent."""
    assert made(hires(hr_scale=1.5)) == (
        "Steps: 3, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 64x64, "
        "Model hash: 0123456789, Model: tiny, Denoising strength: 0.6, Hires upscale: 1.5, "
        "Hires upscaler: Latent, Version: v1.10.1"
    )


def test_all_that_hires_fix_says():
    """Spec prompts.md 8.2: the order of insertion; recordings hires/hr_prompt, hr_sampler."""
    request = hires(
        hr_prompt="a dog",
        hr_negative_prompt="dark",
        hr_sampler_name="DPM++ 2M",
        hr_scheduler="Karras",
        hr_checkpoint_name="other",
        hr_second_pass_steps=5,
        hr_resize_x=96,
        hr_resize_y=128,
    )
    assert (
        "Denoising strength: 0.6, Hires checkpoint: other [0123456789], Hires sampler: DPM++ 2M, "
        "Hires prompt: a dog, Hires negative prompt: dark, Hires schedule type: Karras, "
        "Hires resize: 96x128, Hires steps: 5, Hires upscaler: Latent, Version"
    ) in made(request)


@pytest.mark.parametrize(("second", "told"), [("Karras", False), ("Exponential", True)])
def test_the_second_schedule_is_told_where_it_is_not_the_schedule_type(second, told):
    """Spec prompts.md 8.2. DDIM has no use for a schedule, but its infotext names one."""
    said = made(
        hires(sampler_name="DDIM", scheduler="Karras", hr_sampler_name="Euler", hr_scheduler=second)
    )
    assert "Sampler: DDIM, Schedule type: Karras, " in said
    assert ("Hires schedule type" in said) is told
    assert (f"Hires schedule type: {second}, " in said) is told


def test_info_shows_null_for_what_differs_by_picture():
    """Spec api.md 9; recording hires/hr_prompt."""
    extra = world().txt2img(hires(hr_prompt="a dog")).info.extra_generation_params
    assert extra == {
        "Denoising strength": 0.6,
        "Hires prompt": None,
        "Hires negative prompt": None,
        "Hires schedule type": None,
        "Hires upscale": 2.0,
        "Hires upscaler": "Latent",
    }


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"hr_scale": 1.5}, (96, 96)),
        ({"hr_resize_x": 128}, (128, 128)),
        ({"hr_resize_y": 160}, (160, 160)),
        ({"hr_resize_x": 128, "hr_resize_y": 96}, (128, 96)),
        ({"firstphase_width": 128, "firstphase_height": 64, "hr_scale": 1.5}, (192, 96)),
    ],
)
def test_sizes(fields, size):
    """Spec api.md 5.1 and 5.4."""
    (picture,) = world().txt2img(hires(**fields)).pictures
    assert picture.image.size == size


def test_the_old_way_takes_the_size_for_the_target():
    """Spec sampling.md 6.4, option use_old_hires_fix_width_height."""
    request = Txt2Img(
        prompt="a cat", steps=1, seed=1, width=1024, height=768, enable_hr=True,
        denoising_strength=0.5, override_settings={"use_old_hires_fix_width_height": True},
    )  # fmt: skip
    result = world().txt2img(request)
    assert result.pictures[0].image.size == (1024, 768)
    assert "Size: 640x448" in parameters(result) and "Hires resize: 1024x768" in parameters(result)
    assert (result.info.width, result.request.width) == (640, 1024)


def test_what_a_hires_field_leaves_open_is_the_first_passes():
    same = planned(
        hires(
            hr_sampler_name="Use same sampler",
            hr_scheduler="Use same scheduler",
            hr_checkpoint_name="Use same checkpoint",
        )
    )
    assert same == planned(hires())
    assert same.hires is not None
    assert (same.hires.checkpoint, same.hires.sampling) == (same.checkpoint, same.sampling)
    assert same.hires.text.positive == same.text.positive


def test_the_second_pass_goes_on_with_the_prompts_timeline():
    """Spec sampling.md 5.2: a fraction above 1, or a step beyond the first pass, is in it."""
    for when in ("1.5", "4"):
        request = Txt2Img(
            prompt=f"[cat:dog:{when}]", steps=2, width=64, height=64, enable_hr=True,
            hr_second_pass_steps=4, denoising_strength=0.5,
        )  # fmt: skip
        plan = planned(request)
        assert plan.hires is not None
        (first,), (second,) = plan.text.positive[0], plan.hires.text.positive[0]
        assert [step.text for step in first.schedule] == ["cat"]
        assert [(step.end_at, step.text) for step in second.schedule] == [(2, "cat"), (4, "dog")]


def test_its_own_sampler_may_carry_a_schedule():
    plan = planned(hires(hr_sampler_name="DPM++ SDE Exponential", hr_second_pass_steps=7))
    assert plan.hires is not None
    sampling = plan.hires.sampling
    found = sampling.sampler.name, sampling.scheduler, sampling.steps
    assert found == ("DPM++ SDE", "Exponential", 7)


def test_options_of_the_second_pass():
    """Spec sampling.md 7: token merging and Hypertile have values of their own there."""
    plan = planned(
        hires(),
        token_merging_ratio=0.2,
        token_merging_ratio_hr=0.5,
        hypertile_enable_unet_secondpass=True,
        hires_fix_use_firstpass_conds=True,
    )
    assert plan.hires is not None
    assert (plan.tweaks.token_merging_ratio, plan.hires.tweaks.token_merging_ratio) == (0.2, 0.5)
    assert plan.tweaks.hypertile_unet is None and plan.hires.tweaks.hypertile_unet is not None
    assert plan.hires.first_pass_encoder


def test_infotext_of_the_second_passs_options():
    """Spec prompts.md 8.2."""
    overrides = {
        "token_merging_ratio_hr": 0.5,
        "hypertile_enable_unet_secondpass": True,
        "hypertile_swap_size_unet": 4,
    }
    said = made(hires(override_settings=overrides))
    assert "Token merging ratio hr: 0.5, Hypertile U-Net second pass: True" in said
    assert "Hypertile U-Net swap size: 4, Hires upscale" in said
    assert "Token merging ratio:" not in said


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (False, False, []),
        (True, False, ["Hypertile U-Net: True"]),
        (False, True, ["Hypertile U-Net second pass: True"]),
        (True, True, ["Hypertile U-Net: True"]),  # which is in both passes whatever the other says
    ],
)
def test_hypertile_is_told_of_the_pass_it_begins_with(first, second, told):
    """Spec scripts.md 14."""
    options = {"hypertile_enable_unet": first, "hypertile_enable_unet_secondpass": second}
    said = made(hires(override_settings=options)).split(", ")
    assert [each for each in said if each.startswith("Hypertile")] == told


def test_settings_of_hypertile_are_told_beside_the_network_they_are_for():
    """Spec prompts.md 8.2: only where they are not the default, and it is on."""
    settings = {
        "hypertile_max_depth_unet": 2,
        "hypertile_max_tile_unet": 128,
        "hypertile_swap_size_unet": 4,
        "hypertile_max_depth_vae": 1,
        "hypertile_max_tile_vae": 64,
        "hypertile_swap_size_vae": 5,
    }
    unet = "U-Net: True, Hypertile U-Net max depth: 2, Hypertile U-Net max tile size: 128, "
    unet += "Hypertile U-Net swap size: 4"
    vae = "VAE: True, Hypertile VAE max depth: 1, Hypertile VAE max tile size: 64, "
    vae += "Hypertile VAE swap size: 5"
    for enabled, told in (
        ({"hypertile_enable_unet": True}, [unet]),
        ({"hypertile_enable_vae": True}, [vae]),
        ({"hypertile_enable_unet": True, "hypertile_enable_vae": True}, [unet, vae]),
        ({}, []),
    ):
        said = made(hires(override_settings={**settings, **enabled})).split(", ")
        found = ", ".join(each for each in said if each.startswith("Hypertile"))
        assert found == ", ".join(f"Hypertile {each}" for each in told)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"denoising_strength": None}, "denoising_strength"),
        ({"denoising_strength": -0.5}, "denoising_strength"),
        ({"hr_scale": 0}, "hr_scale"),
        ({"hr_scale": 0.05}, "hr_scale"),
        ({"hr_scale": 100}, "hr_scale"),
        ({"hr_resize_x": 5}, "hr_resize_x"),
        ({"hr_resize_x": -8}, "hr_resize_x"),
        ({"hr_second_pass_steps": -1}, "hr_second_pass_steps"),
        ({"firstphase_width": 64}, "firstphase_height"),
    ],
)
def test_what_does_not_go_is_named(fields, field):
    """A1111 answers 500 (recording hires/denoise_none)."""
    with pytest.raises(InvalidRequest) as caught:
        world().txt2img(hires(**fields))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"hr_upscaler": "Bogus"}, "upscaler"),
        ({"hr_checkpoint_name": "nope"}, "checkpoint"),
        ({"hr_sampler_name": "nope"}, "sampler"),
    ],
)
def test_what_is_not_there_is_not_found(fields, kind):
    """Recordings hires/up_Bogus, hr_ckpt_bad."""
    with pytest.raises(NotFound) as caught:
        world().txt2img(hires(**fields))
    assert caught.value.kind == kind


def test_a_malformed_hires_prompt_is_named():
    with pytest.raises(InvalidRequest) as caught:
        world().txt2img(hires(hr_prompt="(a:1.2.3)"))
    assert caught.value.field == "hr_prompt"


def test_progress_counts_both_passes_as_units():
    """Spec api.md 11.1: job_count doubled, job_no one more between the passes."""
    seen = []

    class Looking(FakeInference):
        def render(self, plan, observer, sources=None):
            def observe(step, of, preview):
                verdict = observer(step, of, preview)
                state = it.progress(picture=False).state
                seen.append((state.job_no, state.job_count, state.sampling_step))
                steps.append(state.sampling_steps)
                return verdict

            return super().render(plan, observe)

    steps: list[int] = []
    it = world(Looking())
    it.txt2img(hires(hr_second_pass_steps=2, n_iter=2))
    one = [(0, 4, 0), (0, 4, 1), (0, 4, 2), (1, 4, 0), (1, 4, 1)]
    assert seen == one + [(unit + 2, of, step) for unit, of, step in one]
    assert steps == [3, 3, 3, 2, 2] * 2


def test_where_the_refiner_may_take_over():
    """Spec sampling.md 5.4, option hires_fix_refiner_pass."""
    request = hires(refiner_checkpoint="other", refiner_switch_at=0.8)
    for option, passes in (
        ("first pass", (True, False)),
        ("second pass", (False, True)),
        ("both passes", (True, True)),
    ):
        plan = planned(request, hires_fix_refiner_pass=option)
        assert tuple(each.refiner is not None for each in plan.passes) == passes
        refiner = next(each.refiner for each in plan.passes if each.refiner)
        assert (refiner.checkpoint.name, refiner.switch_at) == (OTHER.name, 0.8)
    alone = planned(Txt2Img(steps=1, width=64, height=64, refiner_checkpoint="other"))
    assert alone.refiner is not None and alone.refiner.switch_at is None


@pytest.mark.parametrize(
    ("checkpoint", "hires_checkpoint", "refiner", "option", "passes"),
    [
        ("tiny", None, "tiny", "first pass", (False, False)),
        ("tiny", None, "tiny", "second pass", (False, False)),
        ("tiny", None, "tiny", "both passes", (False, False)),
        ("tiny", "other", "tiny", "both passes", (False, True)),
        ("tiny", "other", "tiny", "second pass", (False, True)),
        ("tiny", "other", "tiny", "first pass", (False, False)),
        ("tiny", "other", "other", "both passes", (True, False)),
        ("tiny", "other", "other", "second pass", (False, False)),
        ("tiny", "tiny", "other", "both passes", (True, True)),
        ("other", None, "other.safetensors", "both passes", (False, False)),
        ("other", None, "tiny", "first pass", (True, False)),
    ],
)
def test_a_checkpoint_does_not_take_over_from_itself(
    checkpoint, hires_checkpoint, refiner, option, passes
):
    """A1111 compares the refiner with the checkpoint that is loaded in the pass."""
    plan = planned(
        hires(
            refiner_checkpoint=refiner,
            refiner_switch_at=0.8,
            hr_checkpoint_name=hires_checkpoint,
            override_settings={"sd_model_checkpoint": checkpoint},
        ),
        hires_fix_refiner_pass=option,
    )
    assert tuple(each.refiner is not None for each in plan.passes) == passes
    assert {each.refiner.hires_pass for each in plan.passes if each.refiner} <= {option}


@pytest.mark.parametrize("refiner", ["tiny", "tiny.safetensors", "tin"])
def test_a_checkpoint_is_no_refiner_of_itself_in_a_single_pass(refiner):
    plain = Txt2Img(steps=1, width=64, height=64, refiner_checkpoint=refiner, refiner_switch_at=0.5)
    assert planned(plain).refiner is None


@pytest.mark.parametrize("name", ["", "None", "none", None])
def test_no_refiner(name):
    """Spec api.md 5.1."""
    plan = planned(Txt2Img(steps=1, width=64, height=64, refiner_checkpoint=name))
    assert plan.refiner is None


def test_an_unknown_refiner_is_not_found():
    with pytest.raises(NotFound):
        world().txt2img(Txt2Img(steps=1, refiner_checkpoint="nope"))
