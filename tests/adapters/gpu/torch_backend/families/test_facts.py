"""What families tell of themselves, and that it is heeded. Spec networks.md 1.4 and 1.6."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from PIL.Image import new as new_image

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import (
    EditedPicture,
    MaskedPicture,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families import registry
from hexfusion.adapters.gpu.torch_backend.families.detection import has
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.image_input_builders import edited_picture
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SD1_LATENTS, SDXL_LATENTS
from hexfusion.adapters.gpu.torch_backend.families.registry import FAMILIES
from hexfusion.adapters.gpu.torch_backend.families.sd1 import SD1
from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import AYS_SD1, AYS_SDXL
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL,
    SMALL_SD2,
    SMALL_SDXL,
    Layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
    under,
    vae_layout,
    write,
)
from tests.contracts.inference import Witness, from_picture, plan, render, sources
from tests.sight import assert_differ, assert_wide

pytestmark = pytest.mark.torch

LOADED = [family for family in FAMILIES if isinstance(family, Family)]
BY_NAME = pytest.mark.parametrize("family", LOADED, ids=lambda family: family.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def test_no_two_have_the_same_name():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@BY_NAME
def test_what_sdxl_and_its_relatives_have_in_common(family):
    """Spec networks.md 1.4: SDXL, its refiner, its inpainting and SSD-1B count as SDXL."""
    xl = family.name in ("SDXL", "SDXL inpainting", "SDXL refiner", "SSD-1B")
    assert (family.medvram_sdxl, family.own_noise_table) == (xl, not xl)
    assert family.align_your_steps == (AYS_SDXL if xl else AYS_SD1)
    assert family.latents is (SDXL_LATENTS if xl else SD1_LATENTS)


@BY_NAME
def test_lora_files_speak_of_an_open_clip_alone_as_of_clip(family):
    """Spec networks.md 1.4: the flag sd2."""
    assert family.lora_open_clip is family.name.startswith("SD2")


def wider(sizes: dict, channels: int) -> dict:
    return {**sizes, "unet": {**sizes["unet"], "in_channels": channels}}


@pytest.mark.parametrize(
    ("layout", "shown"),
    [
        (sd2_layout(**SMALL_SD2), None),
        (sd2_layout(**wider(SMALL_SD2, 8)), EditedPicture),
        (sd2_layout(**wider(SMALL_SD2, 9)), MaskedPicture),
        (sdxl_layout(**SMALL_SDXL), None),
        (sdxl_layout(**wider(SMALL_SDXL, 8)), EditedPicture),
        (sdxl_layout(**wider(SMALL_SDXL, 9)), MaskedPicture),
    ],
    ids=["SD2", "SD2 edits", "SD2 inpaints", "SDXL", "SDXL edits", "SDXL inpaints"],
)
def test_what_a_unet_has_channels_for_is_shown_to_it(path, layout, shown):
    write(path, layout)
    found = load_checkpoint(path).image_input
    assert found is None if shown is None else isinstance(found, shown)


def test_channels_for_nothing_known_are_refused(path):
    write(path, sdxl_layout(**wider(SMALL_SDXL, 7)))
    with pytest.raises(CheckpointError, match=r"takes 7 channels, expected one of 4, 8, 9"):
        load_checkpoint(path)


def of_latents(channels: int, given: int | None = None) -> Layout:
    """SD1's layout with latents of so many channels; its UNet takes `given`."""
    layout = sd1_layout(**{**SMALL, "in_channels": given or channels})
    vae = vae_layout(SMALL["vae_channels"], SMALL["vae_blocks"], latents=channels)
    out = "model.diffusion_model.out.2"
    return {
        **layout,
        **under("first_stage_model", vae),
        f"{out}.weight": (channels, *layout[f"{out}.weight"][1:]),
        f"{out}.bias": (channels,),
    }


@pytest.mark.parametrize("network", ["VAE", "UNet"])
def test_latents_of_another_family_are_refused(path, network):
    layout = {
        name: shape
        for name, shape in of_latents(8, given=4).items()
        if name.startswith("first_stage_model.") is (network == "VAE")
    }
    write(path, {**sd1_layout(**SMALL), **layout})
    with pytest.raises(
        CheckpointError, match=rf"a {network} for latents of 8 channels, expected 4"
    ):
        load_checkpoint(path)


def test_each_family_has_align_your_steps_of_its_own(path, monkeypatch):
    """Spec sampling.md 3: the levels that were found for its model."""
    like_xl = replace(SD1, name="like XL", align_your_steps=AYS_SDXL)
    write(path, sd1_layout(**SMALL))
    each = plan(Checkpoint(name=path.name, filename=str(path)))
    sampling = msgspec.structs.replace(each.sampling, scheduler="Align Your Steps")
    each = msgspec.structs.replace(each, sampling=sampling)
    made = []
    for family in (SD1, like_xl):
        monkeypatch.setattr(registry, "FAMILIES", (family,))
        made += render(TorchInference(torch.device("cpu"), FULL), each)
    assert_differ(*made)


EIGHT = replace(
    SD1,
    name="eight",
    detect=has("eight"),
    latents=replace(
        SD1_LATENTS, channels=8, rgb=LatentRgb(tuple((i / 8, 0.1, -i / 8) for i in range(8)))
    ),
)


@pytest.mark.parametrize("edits", [False, True])
def test_a_family_of_other_latents_draws_and_is_previewed(path, monkeypatch, edits):
    """Noise, what is beside the latent and approximations go by the family's channels."""
    family = replace(EIGHT, image_input=edited_picture) if edits else EIGHT
    monkeypatch.setattr(registry, "FAMILIES", (family, *FAMILIES))
    write(path, of_latents(8, given=16 if edits else 8), eight=torch.ones(1))
    backend, seen = TorchInference(torch.device("cpu"), FULL), Witness()
    each = plan(Checkpoint(name=path.name, filename=str(path)))
    (picture,) = backend.render(each, seen).pictures
    assert picture.size == (64, 64)
    assert_wide(picture)
    preview = seen.previews[-1]()
    assert any(low < high for low, high in preview.getextrema())
    half = new_image("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    wanted = from_picture(each, content="noise")
    (again,) = backend.render(wanted, Witness(), sources(mask=half)).pictures
    assert again.size == (64, 64)
