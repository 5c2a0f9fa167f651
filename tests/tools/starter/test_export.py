"""The exported tensors give the training nets' function under the standard epsilons."""

import torch

from tools.starter.export import checkpoint, decoder_weights, unet_weights
from tools.starter.train import Model
from tools.starter.unet import UNet
from tools.starter.vae import STANDARD_EPS, Decoder


def _shaken(net: torch.nn.Module) -> torch.nn.Module:
    """`net` with its zero-initialised branches made audible."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    return net


@torch.no_grad()
def test_unet_keeps_its_function():
    trained = _shaken(UNet())
    exported = UNet(eps=1e-5)
    exported.load_state_dict(unet_weights(trained.state_dict()))
    x, t, context = torch.randn(2, 4, 16, 16), torch.tensor([5, 900]), torch.randn(2, 77, 64)
    torch.testing.assert_close(
        exported(x, t, context), trained(x, t, context), atol=2e-3, rtol=1e-3
    )


@torch.no_grad()
def test_decoder_keeps_its_function():
    trained = _shaken(Decoder())
    exported = Decoder(eps=STANDARD_EPS)
    exported.load_state_dict(decoder_weights(trained.state_dict()))
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(exported(x), trained(x), atol=2e-3, rtol=1e-3)


def test_file_has_the_sd1_layout_and_size():
    tensors = checkpoint(Model().state_dict(), Decoder().state_dict())
    text = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    assert tensors[text].shape == (49408, 64)
    assert tensors["model.diffusion_model.input_blocks.0.0.weight"].shape == (64, 4, 3, 3)
    assert "first_stage_model.encoder.down.2.downsample.conv.weight" in tensors
    assert sum(v.numel() * v.element_size() for v in tensors.values()) < 24e6
