"""The request field `infotext`: spec prompts.md 8.6 and 8.7, api.md 10."""

import json
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.application.planning.prefill import prefill
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.infotext import GenerationFacts, infotext_parameters, write_infotext
from hexfusion.domain.options import Options
from hexfusion.domain.prompts import Style, parse_styles
from hexfusion.domain.sampling.names import effective_scheduler, resolve_request
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS
from tests.application.worlds import OTHER, TINY, world

SHORT = "cat\nSteps: 3, Seed: 5, Size: 64x64, Sampler: Euler a"
HIRES = (
    "a red circle\nNegative prompt: dark\nSteps: 6, Sampler: DPM++ 2M, Schedule type: Karras, "
    "CFG scale: 5.5, Seed: 4242, Size: 96x64, Clip skip: 2, Denoising strength: 0.5, "
    "Hires upscale: 1.5, Hires upscaler: Latent"
)
TESTSTYLE = Style("teststyle", "masterpiece, green", "ugly, bad")


def filled(text, given=(), styles=(), options=None, checkpoints=(TINY, OTHER), **fields):
    request = Txt2Img(infotext=text, **fields)
    return prefill(request, options or Options(), styles, checkpoints, {*fields, *given})


def told(line, **options):
    return filled(f"p\nSteps: 3, Seed: 5, Size: 64x64, {line}", **options)


@pytest.mark.parametrize(
    "path", ["fields/infotext_min", "errors/infotext_garbage", "errors/infotext_int"]
)
def test_recorded_requests_are_filled_as_recorded(shared, path):
    recording = json.loads((shared / "golden" / f"{path}.json").read_text())
    fields = recording["request"]["json"]
    text = str(fields.pop("infotext"))
    assert msgspec.to_builtins(filled(text, **fields)) == recording["body"]["parameters"]


def test_hires_fix_is_filled_in():
    """Recording fields/infotext: A1111 then stumbles over its own "Use same sampler"."""
    request = filled(HIRES)
    assert (request.enable_hr, request.hr_scale, request.hr_upscaler) == (True, 1.5, "Latent")
    assert (request.width, request.height, request.denoising_strength) == (96, 64, 0.5)
    assert (request.prompt, request.negative_prompt) == ("a red circle", "dark")
    assert (request.sampler_name, request.scheduler) == ("DPM++ 2M", "Automatic")
    assert (request.hr_sampler_name, request.hr_scheduler) == ("Use same sampler", "Automatic")
    assert (request.hr_prompt, request.hr_negative_prompt) == ("", "")
    assert request.override_settings == {"CLIP_stop_at_last_layers": 2}


def test_what_the_request_says_stays():
    """Recording fields/infotext_override. Null, and a value that is the default, are said too."""
    request = filled(HIRES, seed=1, width=64, steps=50, hr_sampler_name=None)
    assert (request.seed, request.width, request.height) == (1, 64, 64)
    assert (request.steps, request.hr_sampler_name) == (50, None)


def test_a_python_caller_need_not_say_what_it_says():
    """Without a list of given fields, those count that differ from their defaults."""
    request = prefill(Txt2Img(infotext=HIRES, seed=1, steps=50), Options(), (), ())
    assert (request.seed, request.steps) == (1, 6)


@pytest.mark.parametrize("text", [None, ""])
def test_without_infotext_nothing_changes(text):
    request = Txt2Img(prompt="p", infotext=text)
    assert prefill(request, Options({"rho": 3.0}), (), ()) is request


def test_styles_are_found_and_are_a_list():
    """A1111 makes a text of the list, and then applies no style (spec prompts.md 10)."""
    request = filled(f"a cat, masterpiece, green\nNegative prompt: ugly, bad\n{SHORT[4:]}",
                     styles=[TESTSTYLE])  # fmt: skip
    assert (request.prompt, request.negative_prompt) == ("a cat", "")
    assert request.styles == ["teststyle"]


def test_seed_resize_is_width_then_height():
    """A1111 swaps the two, and so makes another picture (spec prompts.md 10)."""
    request = told("Seed resize from: 96x128")
    assert (request.seed_resize_from_w, request.seed_resize_from_h) == (96, 128)


def test_variations_and_batch_size():
    request = told("Variation seed: 7, Variation seed strength: 0.25, Batch size: 3")
    assert (request.subseed, request.subseed_strength, request.batch_size) == (7, 0.25, 3)


def test_a_denoising_strength_alone_is_no_hires_fix():
    """The text of an img2img picture. A1111 switches hires fix on."""
    assert not told("Denoising strength: 0.4, Mask blur: 6").enable_hr
    assert told("Denoising strength: 0.4, Hires resize: 128x96").enable_hr
    assert told("Denoising strength: 0.4, First pass size: 0x0").enable_hr  # as once written
    assert not told("Hires upscale: 2").enable_hr


def test_hires_sizes_steps_prompts_and_checkpoint():
    request = told(
        "Denoising strength: 0.4, Hires resize: 128x96, Hires steps: 4, Hires prompt: dog, "
        "Hires negative prompt: fog, Hires checkpoint: other [0123456789]"
    )
    assert (request.hr_resize_x, request.hr_resize_y) == (128, 96)
    assert (request.hr_second_pass_steps, request.hr_scale) == (4, 2.0)
    assert (request.hr_prompt, request.hr_negative_prompt) == ("dog", "fog")
    assert request.hr_checkpoint_name == "other [0123456789]"


@pytest.mark.parametrize(
    ("line", "first", "hires"),
    [
        ("Sampler: DPM++ 2M Karras", ("DPM++ 2M", "Automatic"), ("DPM++ 2M", "Use same scheduler")),
        ("Sampler: Euler a Karras", ("Euler a", "Karras"), ("Euler a", "Karras")),
        ("Sampler: k_euler", ("Euler", "Automatic"), ("Euler", "Use same scheduler")),
        (
            "Sampler: Euler, Schedule type: Beta",
            ("Euler", "Beta"), ("Use same sampler", "Use same scheduler"),
        ),
        (
            "Sampler: Euler, Schedule type: Beta, Hires sampler: Heun",
            ("Euler", "Beta"), ("Heun", "Use same scheduler"),
        ),
        (
            "Sampler: Euler, Hires sampler: Heun, Hires schedule type: Karras",
            ("Euler", "Automatic"), ("Heun", "Karras"),
        ),
        (  # A1111: the same as in the first pass, which is Automatic, which for Heun is another
            "Sampler: DPM++ 2M, Schedule type: Karras, Hires sampler: Heun",
            ("DPM++ 2M", "Automatic"), ("Heun", "Karras"),
        ),
    ],
)  # fmt: skip
def test_samplers_and_schedules(line, first, hires):
    request = told(line)
    assert (request.sampler_name, request.scheduler) == first
    assert (request.hr_sampler_name, request.hr_scheduler) == hires


def test_the_refiner_is_named_by_its_title():
    here = Checkpoint(name="sdxl/tuned.safetensors", filename="/m/t", sha256="ab" * 32)
    request = told("Refiner: tuned [ffffffffff], Refiner switch at: 0.8", checkpoints=(TINY, here))
    assert request.refiner_checkpoint == "sdxl/tuned.safetensors [ababababab]"
    assert request.refiner_switch_at == 0.8
    # One that is not here is left for the plan to refuse.
    assert told("Refiner: gone [ffffffffff]").refiner_checkpoint == "gone [ffffffffff]"


@pytest.mark.parametrize(
    ("line", "label", "field"),
    [
        ("Steps: many", "Steps", "steps"),
        ("Seed: 1.5", "Seed", "seed"),
        ("CFG scale: high", "CFG scale", "cfg_scale"),
        ("CFG scale: nan", "CFG scale", "cfg_scale"),
        ("Sampler: Nope", "Sampler", "sampler_name"),
        ("Sampler: Euler, Hires sampler: Nope", "Hires sampler", "hr_sampler_name"),
        ("Clip skip: two", "Clip skip", None),
        ("Eta: inf", "Eta", None),
    ],
)
def test_what_does_not_fit_is_named(line, label, field):
    """A1111 answers 500, or takes its first sampler. A field that is given is not read at all."""
    text = f"p\nAa: 1, Bb: 2, Cc: 3, {line}"
    with pytest.raises(InvalidRequest) as caught:
        filled(text)
    assert caught.value.field == "infotext"
    assert caught.value.message.startswith(f"{label}: ")
    if field:
        filled(text, given=[field, "hr_scheduler", "scheduler"])


def test_a_long_wrong_value_is_not_repeated_whole():
    with pytest.raises(InvalidRequest) as caught:
        told("CFG scale: " + "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_overrides_join_the_requests_own():
    stored = Options({"rho": 5.0})
    request = told("Clip skip: 2, RNG: CPU", override_settings={"randn_source": "NV"},
                   options=stored)  # fmt: skip
    assert request.override_settings == {
        "randn_source": "NV",
        "CLIP_stop_at_last_layers": 2,
        "rho": 0.0,
    }


def test_the_betas_come_back():
    """Infotext has them as "Beta schedule ...", the options as "Beta scheduler ..."."""
    request = told("Schedule type: Beta, Beta schedule alpha: 0.5, Beta schedule beta: 0.7")
    assert request.override_settings == {"beta_dist_alpha": 0.5, "beta_dist_beta": 0.7}


NUMBERS = st.floats(0.05, 20, allow_subnormal=False).map(lambda value: round(value, 4))
REQUESTS = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(["a cat", "a (red:1.2) cat, masterpiece, green", "a [b:c:0.5]"]),
        "negative_prompt": st.sampled_from(["", "fog", "ugly, bad", "x: y, z"]),
        "styles": st.sampled_from([None, [], ["teststyle"]]),
        "seed": st.integers(0, 2**40),
        "subseed": st.integers(0, 2**32),
        "subseed_strength": st.sampled_from([0, 0.25, 1.0]),
        "seed_resize_from_w": st.sampled_from([-1, 64, 128]),
        "seed_resize_from_h": st.sampled_from([-1, 96]),
        "sampler_name": st.sampled_from([each.name for each in SAMPLERS]),
        "scheduler": st.sampled_from([None, *(each.label for each in SCHEDULERS)]),
        "steps": st.integers(1, 8),
        "cfg_scale": NUMBERS,
        "width": st.sampled_from([64, 72]),
        "height": st.sampled_from([64, 96]),
        "eta": st.none() | st.floats(0.05, 1).map(lambda value: round(value, 4)),
        "s_min_uncond": st.sampled_from([None, 0.5]),
    }
)
HIRES_FIX = st.fixed_dictionaries(
    {
        "enable_hr": st.just(True),
        "denoising_strength": st.sampled_from([0.25, 0.7]),
        "hr_upscaler": st.sampled_from([None, "Latent (nearest)", "Lanczos", "None"]),
        "hr_second_pass_steps": st.sampled_from([0, 3]),
        "hr_sampler_name": st.sampled_from([None, *(each.name for each in SAMPLERS)]),
        "hr_scheduler": st.sampled_from([None, *(each.label for each in SCHEDULERS)]),
        "hr_prompt": st.sampled_from(["", "a dog", "dog: x, masterpiece, green"]),
        "hr_negative_prompt": st.sampled_from(["", "mud"]),
    },
    optional={"hr_scale": st.sampled_from([1.5, 2.0]), "hr_resize_x": st.sampled_from([0, 128])},
)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "CLIP_stop_at_last_layers": st.integers(1, 3),
        "randn_source": st.sampled_from(["GPU", "CPU", "NV"]),
        "emphasis": st.sampled_from(["Original", "No norm"]),
        "eta_noise_seed_delta": st.sampled_from([0, 31337]),
        "sigma_max": st.sampled_from([0.0, 9.5]),
        "beta_dist_alpha": st.floats(0.01, 10),
        "rho": st.sampled_from([0.0, 3.0]),
        "use_downcasted_alpha_bar": st.booleans(),
        "s_churn": st.sampled_from([0.0, 0.5]),
        "skip_early_cond": st.sampled_from([0.0, 0.25]),
    },
)


@settings(max_examples=60, deadline=None)
@given(REQUESTS, st.just({}) | HIRES_FIX, OVERRIDES)
def test_the_infotext_of_a_picture_is_that_of_its_repetition(fields, hires, overrides):
    it = world(styles=[TESTSTYLE])
    made = it.txt2img(Txt2Img(**fields, **hires, override_settings=overrides)).pictures[0]
    again = it.txt2img(Txt2Img(infotext=made.infotext), given=["infotext"]).pictures[0]
    assert again.infotext == made.infotext


def test_the_infotext_of_a_picture_makes_the_picture_again():
    it = world(styles=[TESTSTYLE])
    made = it.txt2img(
        Txt2Img(
            prompt="a (red:1.2) cat", negative_prompt="x: y, z", styles=["teststyle"], steps=3,
            seed=5, subseed=6, subseed_strength=0.5, seed_resize_from_w=64, seed_resize_from_h=96,
            sampler_name="Euler a", scheduler="Beta", cfg_scale=4.5, width=96, height=64,
            override_settings={"CLIP_stop_at_last_layers": 2, "beta_dist_alpha": 0.4},
        )
    ).pictures[0]  # fmt: skip
    again = it.txt2img(Txt2Img(infotext=made.infotext)).pictures[0]
    assert again.image.tobytes() == made.image.tobytes()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(SAMPLERS), st.sampled_from(SCHEDULERS),
    st.none() | st.sampled_from(SAMPLERS), st.none() | st.sampled_from(SCHEDULERS),
)  # fmt: skip
def test_both_passes_keep_their_schedules(sampler, schedule, hires, hires_schedule):
    """What the passes of hires fix were drawn with, written as spec prompts.md 8.2 says."""
    first = effective_scheduler(sampler, schedule.label)
    second = effective_scheduler(hires or sampler, (hires_schedule or schedule).label)
    facts = GenerationFacts(
        steps=5, sampler=sampler.name, scheduler=first, cfg_scale=7.0, seed=1, width=64, height=64,
        denoising_strength=0.5,
        extra={
            "Hires upscale": 2.0,
            "Hires sampler": hires.name if hires and hires != sampler else None,
            "Hires schedule type": second if second != first else None,
        },
    )  # fmt: skip
    request = filled(write_infotext("p", "", infotext_parameters(facts)))

    def used(name, label):
        found, label = resolve_request(name, None, label)
        return found, effective_scheduler(found, label)

    same = {"Use same sampler": request.sampler_name, "Use same scheduler": request.scheduler}
    name, label = request.hr_sampler_name, request.hr_scheduler
    assert used(request.sampler_name, request.scheduler) == (sampler, first)
    assert used(same.get(name, name), same.get(label, label)) == (hires or sampler, second)


SECTIONS = ("default", "fields", "hires", "names", "options", "prompts", "samplers", "save")


def test_recorded_infotexts_can_all_be_taken(shared):
    """None has a value that does not fit."""
    folder = shared / "golden"
    styles = parse_styles((folder / "data/styles.csv").read_text(encoding="utf-8-sig"))
    bodies = [
        json.loads(path.read_text())["body"]
        for section in SECTIONS
        for path in folder.glob(f"{section}/*.json")
    ]
    infos = [json.loads(body["info"]) for body in bodies if body and "info" in body]
    texts = {text for info in infos for text in info["infotexts"]}
    assert len(texts) > 100
    for text in texts:
        request = filled(text, styles=styles)
        assert str(request.seed) == re.search(r"Seed: (-?\d+)", text)[1]
