"""SD2, SDXL and its refiner from one file each. Spec networks.md 1.4, sampling.md 2.1 and 8.

Random weights in the true layout, shrunken: no released file can be had here.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode
from hexfusion.adapters.gpu.torch_backend.precision import HALF
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import TextPlan
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

pytestmark = pytest.mark.torch

SETTINGS = TextPlan(positive=(), negative=())
OUT = "model.diffusion_model.out.2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "small.safetensors"


@torch.inference_mode()
def drawn(loaded: LoadedCheckpoint) -> torch.Tensor:
    """A picture of one step, from text to pixels."""
    rows = loaded.text(("cat", "dog"), SETTINGS, (64, 64), negative=False)
    x = torch.ones((2, 4, 8, 8))
    noise = predict(loaded.unet, x, torch.tensor([500.0, 500.0]), rows.context, rows.vector)
    assert noise.isfinite().all()
    assert not torch.equal(noise[0], noise[1])
    return decode(loaded.vae, x - noise, loaded.scale_factor)


@pytest.mark.parametrize(
    ("layout", "family", "scale", "encoders"),
    [
        (sd2_layout(**SMALL_SD2), "SD2", 0.18215, 1),
        (sdxl_layout(**SMALL_SDXL), "SDXL", 0.13025, 2),
        (sdxl_layout(**SMALL_SSD_1B), "SSD-1B", 0.13025, 2),
        (refiner_layout(**SMALL_REFINER), "SDXL refiner", 0.13025, 1),
    ],
    ids=["SD2", "SDXL", "SSD-1B", "refiner"],
)
def test_a_file_is_all_it_takes(path, layout, family, scale, encoders, caplog):
    write(path, layout)
    loaded = load_checkpoint(path)
    assert (loaded.family.name, loaded.scale_factor) == (family, scale)
    assert loaded.prediction == "epsilon"
    assert loaded.family.medvram_sdxl is (family != "SD2")
    assert len(loaded.text.encoders) == encoders
    assert drawn(loaded).shape == (2, 64, 64, 3)
    assert not caplog.records  # every tensor has its place


@pytest.mark.parametrize(
    "layout", [sdxl_layout(**SMALL_SDXL), refiner_layout(**SMALL_REFINER)], ids=["SDXL", "refiner"]
)
def test_xl_has_the_standard_noise_table_always(path, layout):
    """Spec sampling.md 2.1, whatever the file holds."""
    table = torch.linspace(0.999, 0.004, 1000)
    write(path, layout, alphas_cumprod=table)
    path.with_suffix(".yaml").write_text("model: {params: {linear_start: 0.1, linear_end: 0.2}}")
    assert load_checkpoint(path).alphas_cumprod is None


def test_sd2_uses_the_files_noise_table(path):
    table = torch.linspace(0.999, 0.004, 1000)
    write(path, sd2_layout(**SMALL_SD2), alphas_cumprod=table)
    assert torch.equal(load_checkpoint(path).alphas_cumprod, table)


def sd2_that_answers(path: Path, value: float) -> None:
    """An SD2 checkpoint whose UNet says `value` to everything."""
    weight, bias = torch.zeros(4, 64, 3, 3), torch.full((4,), value)
    changes = {f"{OUT}.weight": weight, f"{OUT}.bias": bias}
    write(path, sd2_layout(**SMALL_SD2), **changes)


@pytest.mark.parametrize(
    ("answer", "prediction"), [(0.5, "epsilon"), (-0.45, "epsilon"), (-0.55, "v"), (-2.0, "v")]
)
def test_sd2_is_asked_what_it_predicts(path, answer, prediction):
    """Spec networks.md 1.4: v where mean(unet(x) - x) < -1 at x = 0.5."""
    sd2_that_answers(path, answer)
    assert load_checkpoint(path).prediction == prediction


def test_the_yaml_knows_better_what_sd2_predicts(path):
    sd2_that_answers(path, -2.0)
    path.with_suffix(".yaml").write_text("model: {params: {scale_factor: 0.18215}}")
    assert load_checkpoint(path).prediction == "epsilon"
    sd2_that_answers(path, 0.5)
    path.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}")
    assert load_checkpoint(path).prediction == "v"


def test_only_the_yaml_says_that_xl_predicts_v(path):
    """Spec networks.md 1.4."""
    write(path, sdxl_layout(**SMALL_SDXL))
    scaling = "{target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling}"
    path.with_suffix(".yaml").write_text(
        f"model: {{params: {{denoiser_config: {{params: {{scaling_config: {scaling}}}}}}}}}"
    )
    assert load_checkpoint(path).prediction == "v"


def test_sd2_in_the_layout_of_xl(path):
    """Spec networks.md 1.4: SD2-turbo, told from a refiner by the width of its encoder."""
    sizes = {**SMALL_SD2, "open_clip": {"width": 1024, "layers": 1, "projection": 8}}
    sizes["unet"] = {**SMALL_SD2["unet"], "context": 1024}
    tensors = write(path, sd2_layout(**sizes))
    old, new = "cond_stage_model.", "conditioner.embedders.0."
    renamed = {name.replace(old, new): tensor.half() for name, tensor in tensors.items()}
    assert f"{new}model.ln_final.weight" in renamed
    save_file(renamed, path)
    loaded = load_checkpoint(path)
    assert loaded.family.name == "SD2"
    assert loaded.text.encoders[0].width == 1024


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (
            sdxl_layout(**SMALL_SDXL),
            "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_bias",
        ),
        (sdxl_layout(**SMALL_SDXL), "model.diffusion_model.label_emb.0.2.bias"),
        (sdxl_layout(**SMALL_SDXL), "conditioner.embedders.1.model.text_projection"),
        (sd2_layout(**SMALL_SD2), "cond_stage_model.model.positional_embedding"),
        (sd2_layout(**SMALL_SD2), "cond_stage_model.model.ln_final.bias"),
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(path, layout, name):
    write(path, layout, **{name: None})
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(path)
    assert (refused.value.file, refused.value.tensor) == (str(path), name)
    write(path, layout, **{name: torch.zeros(7, 1, 1)})
    with pytest.raises(CheckpointError, match=r"has shape \[7, 1, 1\]") as refused:
        load_checkpoint(path)
    assert refused.value.tensor == name


def test_sd2_needs_no_projection(path):
    """It does not pool, and some files have lost it."""
    write(path, sd2_layout(**SMALL_SD2), **{"cond_stage_model.model.text_projection": None})
    assert load_checkpoint(path).family.name == "SD2"


def test_an_sd2_encoder_whose_last_layer_is_not_in_the_file(path):
    """Files that were diffusers' once have 23 of 24 layers: the 23rd is what is taken (spec
    prompts.md 5.6: the penultimate)."""
    sizes = {**SMALL_SD2, "open_clip": {**SMALL_SD2["open_clip"], "layers": 24}}
    write(path, sd2_layout(**sizes))
    whole = load_checkpoint(path).text(("cat",), SETTINGS, (64, 64), negative=False)
    last = {name: None for name in sd2_layout(**sizes) if ".resblocks.23." in name}
    assert last
    write(path, sd2_layout(**sizes), **last)
    loaded = load_checkpoint(path)
    assert loaded.architecture.texts[0].layers == 23
    cut = loaded.text(("cat",), SETTINGS, (64, 64), negative=False)
    assert torch.equal(cut.context, whole.context)


def test_what_training_left_in_a_file_is_passed_over(path, caplog):
    """EMA weights beside the others, as in `sd-v1-4-full-ema`, and their counters."""
    tensors = write(path, sd2_layout(**SMALL_SD2))
    plain = load_checkpoint(path)
    averaged = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): tensor * 0
        for name, tensor in tensors.items()
        if name.startswith("model.diffusion_model.")
    }
    extra = {"model_ema.decay": torch.tensor(0.9999), "betas": torch.linspace(0, 1, 1000)}
    path = path.with_suffix(".ckpt")
    content = {"state_dict": {**tensors, **averaged, **extra}, "global_step": 470_000}
    torch.save(content, path)
    full = load_checkpoint(path)
    assert not caplog.records
    assert torch.equal(drawn(full), drawn(plain))


def test_precision(path):
    write(path, sdxl_layout(**SMALL_SDXL))
    loaded = load_checkpoint(path, precision=HALF)
    assert {encoder.model.dtype for encoder in loaded.text.encoders} == {torch.float16}
    rows = loaded.text(("cat",), SETTINGS, (64, 64), negative=False)
    assert rows.context.dtype == rows.vector.dtype == torch.float32
    full = load_checkpoint(path).text(("cat",), SETTINGS, (64, 64), negative=False)
    assert torch.allclose(rows.context, full.context, atol=2e-2)
    assert torch.allclose(rows.vector, full.vector, atol=2e-2)
