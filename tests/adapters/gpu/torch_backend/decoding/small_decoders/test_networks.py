"""The networks themselves (spec images.md 14). Oracles: kernels that do nothing, and diffusers'
own TAESD under the numbers its files have there."""

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders import taesd
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.approximation import (
    Approximation,
    build_approximation,
)
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.coding import (
    decode_approximately,
    decode_small,
    encode_small,
)
from hexfusion.domain.errors import CheckpointError, NotANumber

pytestmark = pytest.mark.torch

#: Names and shapes of A1111's models/VAE-approx/model.pt, written down from the spec.
APPROXIMATION = {
    "conv1": (8, 4, 7, 7), "conv2": (16, 8, 5, 5), "conv3": (32, 16, 3, 3), "conv4": (64, 32, 3, 3),
    "conv5": (32, 64, 3, 3), "conv6": (16, 32, 3, 3), "conv7": (8, 16, 3, 3), "conv8": (3, 8, 3, 3),
}  # fmt: skip


def passing() -> dict[str, Tensor]:
    """Weights with which every layer hands its first three channels on."""
    state = {}
    for name, shape in APPROXIMATION.items():
        kernel = torch.zeros(shape)
        for channel in range(3):
            kernel[channel, channel, shape[2] // 2, shape[3] // 2] = 1
        state[f"{name}.weight"], state[f"{name}.bias"] = kernel, torch.zeros(shape[0])
    return state


def test_approx_nn_doubles_and_bends_what_is_negative_at_each_of_its_eight_layers() -> None:
    network = build_approximation(passing(), "x", 4)
    latents = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    doubled = latents[:, :3].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    wanted = torch.where(doubled > 0, doubled, doubled * 0.1**8)
    assert torch.allclose(network(latents), wanted, atol=1e-6)


def test_approx_nn_sees_nothing_beyond_the_border_and_11_pixels_within_it() -> None:
    """No layer pads: the zeros lie around the picture once, before all of them."""
    torch.manual_seed(2)
    network = Approximation()
    latents = torch.randn(1, 4, 16, 16)
    alone, wider = network(latents), network(torch.nn.functional.pad(latents, (16, 16, 16, 16)))
    assert torch.allclose(wider[..., 32:64, 32:64], alone, atol=1e-5)
    changed = latents.clone()
    changed[..., 0, 0] += 1
    seen = (network(changed) - alone).abs().sum(1)[0] > 0
    assert seen[12, 12] and not seen[13:, :].any() and not seen[:, 13:].any()


def test_approx_nn_colours_become_bytes_by_truncation() -> None:
    """x*0.5+0.5, clamped, *255 truncated."""
    network = build_approximation(passing(), "x", 4)
    latents = torch.tensor([0.5, 2.0, 0.0, 9.0]).view(1, 4, 1, 1)
    pixels = decode_approximately(network, latents)
    assert pixels.shape == (1, 2, 2, 3) and pixels.dtype == torch.uint8
    assert pixels[0, 0, 0].tolist() == [191, 255, 127]


@pytest.mark.parametrize("fault", ["missing", "more", "shape", "kind"])
def test_a_file_that_does_not_fit_is_named_with_its_tensor(fault: str) -> None:
    state, name = passing(), "conv3.weight"
    if fault == "missing":
        del state[name]
    elif fault == "more":
        name = "conv9.weight"
        state[name] = torch.zeros(1)
    else:
        state[name] = torch.zeros(1) if fault == "shape" else state[name].long()
    with pytest.raises(CheckpointError) as caught:
        build_approximation(state, "model.pt", 4)
    assert (caught.value.file, caught.value.tensor) == ("model.pt", name)


@pytest.fixture(scope="module")
def theirs() -> AutoencoderTiny:
    torch.manual_seed(3)
    return AutoencoderTiny().eval()


def published(network: nn.Module, offset: int) -> dict[str, Tensor]:
    """Numbered as in taesd_encoder.pth and taesd_decoder.pth, where a decoder's clamp is 0."""
    renamed = {}
    for name, tensor in network.layers.state_dict().items():
        number, rest = name.split(".", 1)
        renamed[f"{int(number) + offset}.{rest}"] = tensor
    return renamed


def test_taesd_decodes_as_the_published_network(theirs: AutoencoderTiny) -> None:
    ours = taesd.build_decoder(published(theirs.decoder, 1), "x", 4)
    latents = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(4)) * 3
    with torch.inference_mode():
        wanted = theirs.decoder(latents)  # -1 to 1
    bytes_ = ((wanted + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8).permute(0, 2, 3, 1)
    got = decode_small(ours, latents)
    assert got.shape == (2, 40, 48, 3)
    assert (got.int() - bytes_.int()).abs().max() <= 1
    assert torch.equal(decode_small(ours, latents[1:]), got[1:])


def test_taesd_encodes_as_the_published_network(theirs: AutoencoderTiny) -> None:
    """It takes 0 to 1, and what comes out is not scaled (spec sampling.md 6.7)."""
    ours = taesd.build_encoder(published(theirs.encoder, 0), "x", 4)
    picture = torch.rand(48, 40, 3, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        wanted = theirs.encoder(picture.permute(2, 0, 1)[None] * 2 - 1)  # theirs takes -1 to 1
    got = encode_small(ours, picture)
    assert got.shape == (1, 4, 6, 5)
    assert torch.allclose(got, wanted, atol=1e-5)


def test_taesd_refuses_nan(theirs: AutoencoderTiny) -> None:
    ours = taesd.build_decoder(published(theirs.decoder, 1), "x", 4)
    with pytest.raises(NotANumber):
        decode_small(ours, torch.full((1, 4, 2, 2), float("nan")))
