"""Spec sampling.md 6.8 and images.md 14."""

import json

import pytest
import torch

from adapters.gpu.torch_backend.architecture import Shapes, infer_vae
from adapters.gpu.torch_backend.networks import build_vae
from adapters.gpu.torch_backend.vae import (
    LatentRgb,
    approximate,
    decode,
    own_latent_rgb,
    to_bytes,
    to_pictures,
)
from adapters.gpu.torch_backend.weights import Weights
from domain.errors import NotANumber
from tests.adapters.gpu.torch_backend.layouts import random_tensors, vae_layout

pytestmark = pytest.mark.torch


@pytest.fixture
def vae():
    layout = vae_layout((32, 64, 64, 64), 1)
    tensors = {f"first_stage_model.{n}": t for n, t in random_tensors(layout).items()}
    weights = Weights("m.safetensors", tensors)
    architecture = infer_vae(Shapes("m.safetensors", weights.shapes()))
    return build_vae(architecture, weights, torch.device("cpu"), torch.float32)


def latents(n=2, height=2, width=3):
    return torch.randn((n, 4, height, width), generator=torch.Generator().manual_seed(0))


def test_bytes_are_truncated(golden):
    """Spec sampling.md, V:decode_to_uint8."""
    vector = json.loads((golden / "decode_to_uint8.json").read_text())
    assert to_bytes(torch.tensor(vector["decoded"])).tolist() == vector["uint8"]


def test_decoding_multiplies_by_the_reciprocal(vae):
    z = latents()
    with torch.inference_mode():
        expected = torch.cat([vae.decode(one[None] * (1.0 / 0.18215)).sample for one in z])
    pixels = decode(vae, z, 0.18215)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (2, 16, 24, 3))
    assert torch.equal(pixels.permute(0, 3, 1, 2), to_bytes(expected))


def test_a_picture_does_not_depend_on_its_neighbours(vae):
    z = latents(3)
    together = decode(vae, z, 0.18215)
    for i in range(3):
        assert torch.equal(decode(vae, z[i : i + 1], 0.18215)[0], together[i])


def test_pictures(vae):
    pixels = decode(vae, latents(), 0.18215)
    pictures = to_pictures(pixels)
    assert [(picture.mode, picture.size) for picture in pictures] == [("RGB", (24, 16))] * 2
    assert pictures[1].getpixel((5, 7)) == tuple(pixels[1, 7, 5].tolist())


def test_nan_in_a_latent_is_an_error(vae):
    z = latents()
    z[1, 0, 0, 0] = torch.nan
    with pytest.raises(NotANumber, match="UNet"):
        decode(vae, z, 0.18215)


def test_nan_from_the_vae_is_an_error(vae):
    vae.decoder.conv_out.bias[0] = torch.nan
    with pytest.raises(NotANumber, match="VAE"):
        decode(vae, latents(), 0.18215)


def test_an_overflow_in_half_precision_is_tried_again_in_float32(vae):
    """Spec networks.md 1.6: the changed precision stays."""
    z = latents(1) * 1e5  # beyond float16
    expected = decode(vae, z, 1.0)
    half = vae.to(torch.float16)
    with pytest.raises(NotANumber):
        decode(half, z, 1.0, retry=None)
    pixels = decode(half, z, 1.0)
    assert half.dtype == torch.float32
    assert (pixels.int() - expected.int()).abs().max() <= 8  # its weights were rounded to half


def test_the_cheap_approximation():
    """Spec images.md 14, method 2, worked out by hand for one channel at a time."""
    z = torch.zeros(1, 4, 2, 2)
    z[0, 0, 0, 0] = 1.0
    z[0, 3, 1, 1] = 2.0
    pixels = approximate(z, "SD1")
    assert tuple(pixels.shape) == (1, 2, 2, 3)
    assert pixels[0, 0, 1].tolist() == [127, 127, 127]
    assert pixels[0, 0, 0].tolist() == [int((1 + c) / 2 * 255) for c in (0.298, 0.207, 0.208)]
    assert pixels[0, 1, 1].tolist() == [int((1 - 2 * c) / 2 * 255) for c in (0.184, 0.271, 0.473)]
    assert torch.equal(pixels, approximate(z, "some other family"))


def test_a_checkpoint_may_bring_its_own_approximation():
    """As the starter does: its latents are mean colours, which SD1's map would miscolour."""
    own = LatentRgb(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.0)), (0, 0, 1))
    z = torch.tensor([9.0, 0.5, -1.0, 9.0]).reshape(1, 4, 1, 1)
    assert approximate(z, "SD1", own).tolist() == [[[[191, 63, 255]]]]


FACTORS = "[[1, 2, 3], [0, 0, 0], [0.5, 0, 0], [0, -1, 0]]"


def test_that_map_is_read_from_the_metadata():
    rows = ((1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, -1.0, 0.0))
    metadata = {"latent_rgb_factors": FACTORS, "latent_rgb_bias": "[0.1, 0.2, 0.3]"}
    assert own_latent_rgb(metadata, 4) == LatentRgb(rows, (0.1, 0.2, 0.3))
    assert own_latent_rgb({"latent_rgb_factors": FACTORS}, 4) == LatentRgb(rows)
    assert own_latent_rgb({}, 4) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"latent_rgb_factors": "["},
        {"latent_rgb_factors": "5"},
        {"latent_rgb_factors": "[[1, 2, 3]]"},
        {"latent_rgb_factors": FACTORS.replace("3", "NaN")},
        {"latent_rgb_factors": FACTORS.replace("3", "null")},
        {"latent_rgb_factors": FACTORS.replace(", 3", "")},
        {"latent_rgb_factors": FACTORS, "latent_rgb_bias": "[1]"},
        {"latent_rgb_factors": FACTORS, "latent_rgb_bias": "{}"},
    ],
)
def test_an_unusable_map_is_passed_over(metadata, caplog):
    assert own_latent_rgb(metadata, 4) is None
    assert "latent_rgb_factors" in caplog.text
