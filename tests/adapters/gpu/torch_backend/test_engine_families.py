"""SD2, SDXL and its refiner through the whole backend. Random weights in the true layout.

Oracle: Euler's method written down here, row by row, over the same networks (spec sampling.md 2,
5.4 and 8); that those are right is for test_networks and test_conditioners.
"""

import threading
from pathlib import Path

import msgspec
import pytest
import torch
from PIL.Image import Image
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.decoding.previews import Previews
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SD1_LATENTS, SDXL_LATENTS
from hexfusion.adapters.gpu.torch_backend.latents.vae import approximate, decode, to_pictures
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import stable_diffusion_alphas
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import Pass, Plan, PreviewPlan, RefinerPlan
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    SMALL_SSD_1B,
    refiner_layout,
    sd2_layout,
    sdxl_layout,
    write,
)
from tests.contracts.inference import Witness, plan
from tests.sight import assert_mixing_would_show, assert_wide, furthest

pytestmark = pytest.mark.torch

LAYOUTS = {
    "SD2": sd2_layout(**SMALL_SD2),
    "SDXL": sdxl_layout(**SMALL_SDXL),
    "SSD-1B": sdxl_layout(**SMALL_SSD_1B),
    "refiner": refiner_layout(**SMALL_REFINER),
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("families")
    found = {}
    for name, layout in LAYOUTS.items():
        path = folder / f"{name}.safetensors"
        write(path, layout)
        found[name] = Checkpoint(name=path.name, filename=str(path))
    return found


@pytest.fixture(scope="module")
def backend() -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL)


@torch.inference_mode()
def by_hand(each: Plan, refined_from: int | None = None) -> Image:
    """One picture by plain Euler; from call `refined_from` on by the refiner."""
    base = load_checkpoint(Path(each.checkpoint.filename))
    refiner = load_checkpoint(Path(each.refiner.checkpoint.filename)) if each.refiner else base
    alphas = stable_diffusion_alphas()
    log_sigmas = ((1 - alphas) / alphas).sqrt().log()
    times = torch.linspace(999, 0, each.sampling.steps)
    low, high, share = times.floor().long(), times.ceil().long(), times.frac()
    sigmas = ((1 - share) * log_sigmas[low] + share * log_sigmas[high]).exp()
    shape = (1, 4, each.height // 8, each.width // 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(each.noise.seeds[0])) * sigmas[0]
    model = base
    for step, sigma in enumerate(sigmas):
        model = base if refined_from is None or step < refined_from else refiner
        scaled = x / (sigma**2 + 1).sqrt()
        wanted, unwanted = (
            _noise(model, each, negative, scaled, times[step]) for negative in (False, True)
        )
        following = sigmas[step + 1] if step + 1 < len(sigmas) else 0.0
        x = x + (unwanted + (wanted - unwanted) * each.sampling.cfg_scale) * (following - sigma)
    return to_pictures(decode(model.vae, x, model.scale_factor))[0]


def _noise(model: LoadedCheckpoint, each: Pass, negative: bool, x: Tensor, t: Tensor) -> Tensor:
    (part,) = (each.text.negative if negative else each.text.positive)[0]
    texts = [step.text for step in part.schedule]
    rows = model.text(texts, each.text, (each.height, each.width), negative=negative)
    return predict(model.unet, x, t[None], rows.context, rows.vector)


def rendered(backend: TorchInference, each: Plan) -> Image:
    (picture,) = backend.render(each, Witness()).pictures
    return picture


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_family_alone(backend, checkpoints, name):
    each = plan(checkpoints[name], width=96)
    picture = rendered(backend, each)
    assert_wide(picture)
    assert furthest(picture, by_hand(each)) <= 1


@pytest.mark.parametrize(("switch_at", "refined_from"), [(0.4, 1), (0.8, 2), (None, 0)])
def test_the_refiner_takes_over_with_texts_of_its_own(
    backend, checkpoints, switch_at, refined_from
):
    """Spec sampling.md 5.4: its encoders, its score, the same course."""
    each = msgspec.structs.replace(
        plan(checkpoints["SDXL"]),
        refiner=RefinerPlan(checkpoint=checkpoints["refiner"], switch_at=switch_at),
    )
    picture = rendered(backend, each)
    assert furthest(picture, by_hand(each, refined_from)) <= 1
    assert_mixing_would_show(picture, by_hand(each))


def test_each_picture_of_a_batch_has_its_own_vector(backend, checkpoints):
    """The longer prompt's; the shorter one is lengthened, so it is not what it is alone."""
    prompts = ("a cat", "a dog BREAK on a hill")
    batch = plan(checkpoints["SDXL"], seeds=(1, 2), prompts=prompts)
    first, second = backend.render(batch, Witness()).pictures
    assert_mixing_would_show(first, second)
    alone = plan(checkpoints["SDXL"], seeds=(2,), prompts=prompts[1:])
    assert furthest(second, rendered(backend, alone)) <= 1


@pytest.mark.parametrize(
    ("name", "space"),
    [("SD2", SD1_LATENTS), ("SDXL", SDXL_LATENTS), ("refiner", SDXL_LATENTS)],
    ids=["SD2", "SDXL", "refiner"],
)
def test_previews_in_the_family_s_colours(checkpoints, name, space):
    """Spec images.md 14: SD2 has SD1's latents, a refiner SDXL's."""
    model = load_checkpoint(Path(checkpoints[name].filename))
    latents = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    (expected,) = to_pictures(approximate(latents, space.rgb))
    small = SmallDecoders(None, torch.device("cpu"), torch.float32)
    previews = Previews(PreviewPlan(), small, threading.Lock())
    assert furthest(previews.picture(model, latents), expected) == 0


@pytest.mark.parametrize(
    "change", [{"crop": (64, 0)}, {"clip_l_skip": True}], ids=["crop", "clip_l_skip"]
)
def test_what_only_xl_heeds(backend, checkpoints, change):
    plain = plan(checkpoints["SDXL"])
    text = msgspec.structs.replace(plain.text, **change)
    changed = msgspec.structs.replace(plain, text=text)
    picture = rendered(backend, changed)
    assert_mixing_would_show(picture, rendered(backend, plain))
    assert furthest(picture, by_hand(changed)) <= 1
