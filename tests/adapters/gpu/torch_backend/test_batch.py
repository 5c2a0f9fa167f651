"""Passes, refiner and what lies between, with small networks of random weights."""

from pathlib import Path

import msgspec
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from hexfusion.adapters.gpu.torch_backend.engine import TorchInference  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.precision import FULL  # noqa: E402
from hexfusion.domain.checkpoints import Checkpoint  # noqa: E402
from hexfusion.domain.plan import Plan, RefinerPlan  # noqa: E402
from hexfusion.domain.prompts import negative_parts, positive_parts  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout, write  # noqa: E402
from tests.contracts.inference import Witness, difference, pixels, plan, render, with_hires  # noqa: E402
from tests.sight import assert_mixing_would_show  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def backend() -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = [folder / "main.safetensors", folder / "refiner.safetensors"]
    for seed, path in enumerate(paths):
        save_file(random_tensors(sd1_layout(**SMALL), seed), path)
    return [
        Checkpoint(name=path.name, filename=str(path), sha256=digit * 64)
        for path, digit in zip(paths, "ab", strict=True)
    ]


def refined(wanted: Plan, refiner: Checkpoint, switch_at: float | None, **kwargs) -> Plan:
    return msgspec.structs.replace(
        wanted, refiner=RefinerPlan(checkpoint=refiner, switch_at=switch_at, **kwargs)
    )


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "DDIM", "LCM"])
@pytest.mark.parametrize("switch_at", [0.0, None])
def test_a_refiner_from_the_first_call_is_the_refiners_picture(backend, made, sampler, switch_at):
    """Spec sampling.md 5.4: no switch_at switches at once. The refiner decodes, too."""
    main, refiner = made
    (ours,) = render(backend, refined(plan(main, sampler=sampler), refiner, switch_at))
    (theirs,) = render(backend, plan(refiner, sampler=sampler))
    assert_mixing_would_show(theirs, *render(backend, plan(main, sampler=sampler)))
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
@pytest.mark.parametrize("by_steps", [False, True])
def test_a_refiner_that_never_comes_changes_nothing(backend, made, sampler, by_steps):
    """Nor does infotext speak of it (spec prompts.md 8.2)."""
    main, refiner = made
    wanted = refined(plan(main, sampler=sampler), refiner, 1.1, by_sample_steps=by_steps)
    rendered = backend.render(wanted, Witness())
    plain, refiners = (render(backend, plan(each, sampler=sampler)) for each in made)
    assert_mixing_would_show(*plain, *refiners)
    assert pixels(rendered.pictures) == pixels(plain)
    assert rendered.facts == {}


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DDIM", "DPM++ SDE"])
def test_a_refiner_in_the_middle_goes_on_with_the_same_run(backend, made, sampler):
    main, refiner = made
    wanted = refined(plan(main, sampler=sampler, steps=6), refiner, 0.5, by_sample_steps=True)
    rendered = backend.render(wanted, Witness())
    others = [*render(backend, plan(main, sampler=sampler, steps=6))]
    others += render(backend, plan(refiner, sampler=sampler, steps=6))
    assert_mixing_would_show(*rendered.pictures, *others)
    assert rendered.facts == {
        "Refiner switch by sampling steps": True,
        "Refiner": f"refiner [{'b' * 10}]",
        "Refiner switch at": 0.5,
    }


def test_a_refiner_of_the_same_weights_changes_nothing(backend, made, tmp_path):
    """Prompt editing and the schedule go on where they were: the counter is one."""
    main, _ = made
    twin = tmp_path / "twin.safetensors"
    twin.write_bytes(Path(main.filename).read_bytes())
    same = Checkpoint(name=twin.name, filename=str(twin))
    for sampler in ("Euler a", "DPM++ 2M", "DPM2"):
        plain = plan(main, sampler=sampler, steps=6, prompts=("[red:green:3] circle",))
        (expected,) = render(backend, plain)
        (picture,) = render(backend, refined(plain, same, 0.4))
        assert picture.tobytes() == expected.tobytes()


def test_passes_may_have_checkpoints_of_their_own(backend, made):
    """The main model is back for the second pass, whatever refined the first."""
    main, other = made
    both = with_hires(plan(main, seeds=(1, 2)))
    assert both.hires is not None
    elsewhere = msgspec.structs.replace(
        both, hires=msgspec.structs.replace(both.hires, checkpoint=other)
    )
    once = render(backend, both)
    assert_mixing_would_show(*once, *render(backend, elsewhere))
    assert pixels(render(backend, both)) == pixels(once)
    held = backend.loaded()
    assert held is not None and held.filename == main.filename


def test_the_first_passs_encoder_on_demand(backend, made):
    """Option hires_fix_use_firstpass_conds."""
    main, other = made
    wanted = with_hires(plan(main))
    assert wanted.hires is not None
    own = msgspec.structs.replace(wanted.hires, checkpoint=other)
    lent = msgspec.structs.replace(own, first_pass_encoder=True)
    pictures = [
        render(backend, msgspec.structs.replace(wanted, hires=hires))[0] for hires in (own, lent)
    ]
    assert_mixing_would_show(*pictures)


@pytest.mark.parametrize("upscaler", ["Latent (bicubic)", "Nearest"])
def test_a_hires_batch_is_its_pictures_made_alone(backend, tmp_path, upscaler):
    """Up to rounding, which may turn a byte of the picture that is encoded. The VAE is sure of
    what it sees, and draws no noise."""
    layout = sd1_layout(**SMALL)
    sure = random_tensors(layout)["first_stage_model.quant_conv.bias"]
    sure[4:] = -30.0  # the logarithm of the variance
    path = tmp_path / "sure.safetensors"
    write(path, layout, **{"first_stage_model.quant_conv.bias": sure})
    used = Checkpoint(name=path.name, filename=str(path))
    batch = render(backend, with_hires(plan(used, seeds=(7, 8)), upscaler=upscaler))
    assert_mixing_would_show(*batch)
    for picture, seed in zip(batch, (7, 8), strict=True):
        (alone,) = render(backend, with_hires(plan(used, seeds=(seed,)), upscaler=upscaler))
        assert difference(picture, alone) <= (1 if upscaler.startswith("Latent") else 4)


def test_encoded_pictures_of_a_batch_draw_in_turn_from_the_last_seed(backend, made):
    """Spec sampling.md 6.7: one generator for all, so only the first one's noise is as alone."""
    main, _ = made
    first, second = render(backend, with_hires(plan(main, seeds=(8, 8)), upscaler="Nearest"))
    (alone,) = render(backend, with_hires(plan(main, seeds=(8,)), upscaler="Nearest"))
    assert difference(first, alone) <= 4  # as above
    assert_mixing_would_show(second, alone)


def test_padding_and_skipped_guidance_are_told(backend, made):
    """Spec prompts.md 5.4 and 8.2: only where it happened."""
    main, _ = made
    wanted = plan(main, steps=4)
    long = positive_parts("a red circle, " * 40, 4)
    text = msgspec.structs.replace(wanted.text, positive=(long,))
    options = msgspec.structs.replace(
        wanted.sampling.options, pad_cond_uncond=True, skip_early_cond=0.3, s_min_uncond=100.0
    )
    sampling = msgspec.structs.replace(wanted.sampling, options=options)
    padded = msgspec.structs.replace(wanted, text=text, sampling=sampling)
    facts = backend.render(padded, Witness()).facts
    assert list(facts.items()) == [("Skip Early CFG", 0.3), ("NGMS", 100.0), ("Pad conds", True)]
    equal = msgspec.structs.replace(
        padded, text=msgspec.structs.replace(text, negative=(negative_parts("b, " * 100, 4),))
    )
    assert "Pad conds" not in backend.render(equal, Witness()).facts
