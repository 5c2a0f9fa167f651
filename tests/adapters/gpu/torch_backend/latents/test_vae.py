"""Spec sampling.md 6.7 and 6.8, images.md 14, networks.md 1.6."""

import json

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.architectures.builders import build_vae
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes, infer_vae
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import copied
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SD1_LATENTS
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import (
    LatentRgb,
    approximate,
    decode,
    encode,
    latent_rgb_in,
    refuse_nan,
    retry_dtype,
    sample_posterior,
    to_bytes,
    to_pictures,
)
from hexfusion.domain.errors import NotANumber
from tests.adapters.gpu.torch_backend.layouts import random_tensors, vae_layout
from tests.golden.sampling_vectors import distance, section

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


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (0, 2, 15, 23), (0, 1, 7, 9)])
def test_one_nan_among_numbers_is_an_error(vae, place):
    """A1111 looks at the first number alone (spec networks.md 1.6)."""

    class Damaged:
        dtype = vae.dtype

        def decode(self, scaled, return_dict):
            made = vae.decode(scaled, return_dict=return_dict)[0]
            made[place] = torch.nan
            return (made,)

    with pytest.raises(NotANumber, match="VAE"):
        decode(Damaged(), latents(1), 0.18215)


def test_one_nan_among_a_latents_numbers_is_an_error():
    for place in ((0, 0, 0, 0), (1, 3, 1, 2)):
        z = latents()
        z[place] = torch.nan
        with pytest.raises(NotANumber, match="UNet"):
            refuse_nan(z)
    refuse_nan(latents() * torch.inf)  # is not NaN yet


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def photographs(n=2, height=16, width=24):
    return torch.randint(0, 256, (n, height, width, 3), generator=seeded(), dtype=torch.uint8)


def test_a_posterior_is_sampled():
    """Spec sampling.md 6.7, V:vae_posterior_sample. Its log-variances reach below the clamp."""
    vector = section("vae_posterior_sample")
    moments = torch.tensor(vector["moments"]).reshape(1, 8, 1, 1)
    generator = seeded(vector["global_seed"])
    latent = sample_posterior(moments, vector["scale_factor"], generator)
    assert distance(latent.flatten().tolist(), vector["latent"]) <= 1e-6


def test_a_posterior_is_clamped_above():
    moments = torch.tensor([0.0, 1000.0]).reshape(1, 2, 1, 1)
    noise = torch.randn((1, 1, 1, 1), generator=seeded())
    got = sample_posterior(moments, 0.5, seeded())
    torch.testing.assert_close(got, 0.5 * noise * torch.tensor(10.0).exp())


def test_encoding_scales_a_sample(vae):
    """Pictures run from -1 to 1 in the network; each draws its noise when its turn comes."""
    images = photographs()
    with torch.inference_mode():
        given = images.permute(0, 3, 1, 2) / 127.5 - 1
        posteriors = [vae.encode(one[None]).latent_dist for one in given]
    generator = seeded()
    samples = [p.mean + p.std * torch.randn(p.mean.shape, generator=generator) for p in posteriors]
    latents = encode(vae, images, 0.13025, seeded())
    assert (latents.dtype, tuple(latents.shape)) == (torch.float32, (2, 4, 2, 3))
    torch.testing.assert_close(latents, 0.13025 * torch.cat(samples), rtol=1e-4, atol=1e-5)
    assert torch.equal(encode(vae, images[:1], 0.13025, seeded())[0], latents[0])


def test_encoding_takes_floats_from_zero_to_one(vae):
    images = photographs(1)
    assert torch.equal(
        encode(vae, images.float() / 255, 1.0, seeded()), encode(vae, images, 1.0, seeded())
    )


def test_nan_from_the_encoder_is_an_error(vae):
    vae.encoder.conv_in.bias[0] = torch.nan
    with pytest.raises(NotANumber, match="VAE"):
        encode(vae, photographs(1), 1.0, seeded())


def test_an_encoder_that_overflows_is_tried_again(vae):
    """Spec networks.md 1.6, as for decoding. bfloat16 reaches as far as float32."""
    vae.encoder.conv_in.weight *= 5e4  # each weight fits into float16, their sums do not
    half = vae.to(torch.float16)
    with pytest.raises(NotANumber):
        encode(half, photographs(1), 1.0, seeded(), retry=None)
    other = copied(half, torch.bfloat16)
    latents = encode(half, photographs(1), 1.0, seeded(), retry=lambda vae: other)
    assert (half.dtype, other.dtype) == (torch.float16, torch.bfloat16)
    assert torch.equal(latents, encode(other, photographs(1), 1.0, seeded()))
    assert latents.dtype == torch.float32 and bool(latents.isfinite().all())


@pytest.mark.parametrize(
    ("auto_precision", "bfloat16", "dtype"),
    [
        (True, False, torch.float32),
        (True, True, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, None),
    ],
)
def test_which_dtype_is_tried_next(auto_precision, bfloat16, dtype):
    """Spec networks.md 1.6: bfloat16 goes first, and needs no other option."""
    assert retry_dtype(auto_precision=auto_precision, bfloat16=bfloat16) is dtype


def test_the_cheap_approximation():
    """Spec images.md 14, method 2, worked out by hand for one channel at a time."""
    z = torch.zeros(1, 4, 2, 2)
    z[0, 0, 0, 0] = 1.0
    z[0, 3, 1, 1] = 2.0
    pixels = approximate(z, SD1_LATENTS.rgb)
    assert tuple(pixels.shape) == (1, 2, 2, 3)
    assert pixels[0, 0, 1].tolist() == [127, 127, 127]
    assert pixels[0, 0, 0].tolist() == [int((1 + c) / 2 * 255) for c in (0.298, 0.207, 0.208)]
    assert pixels[0, 1, 1].tolist() == [int((1 - 2 * c) / 2 * 255) for c in (0.184, 0.271, 0.473)]


def test_a_checkpoint_may_bring_its_own_approximation():
    """As the starter does: its latents are mean colours, which SD1's map would miscolour."""
    own = LatentRgb(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.0)), (0, 0, 1))
    z = torch.tensor([9.0, 0.5, -1.0, 9.0]).reshape(1, 4, 1, 1)
    assert approximate(z, own).tolist() == [[[[191, 63, 255]]]]


FACTORS = "[[1, 2, 3], [0, 0, 0], [0.5, 0, 0], [0, -1, 0]]"


def test_that_map_is_read_from_the_metadata():
    rows = ((1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, -1.0, 0.0))
    metadata = {"latent_rgb_factors": FACTORS, "latent_rgb_bias": "[0.1, 0.2, 0.3]"}
    assert latent_rgb_in(metadata, 4) == LatentRgb(rows, (0.1, 0.2, 0.3))
    assert latent_rgb_in({"latent_rgb_factors": FACTORS}, 4) == LatentRgb(rows)
    assert latent_rgb_in({}, 4) is None


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
    assert latent_rgb_in(metadata, 4) is None
    assert "latent_rgb_factors" in caplog.text
