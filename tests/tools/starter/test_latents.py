"""The exported encoder computes the numpy map; the quantisers are each other's inverse."""

import numpy as np
import torch

from tools.starter.latents import SCALE_FACTOR, encode
from tools.starter.vae import CONTRAST_STD_GAIN, Encoder, decoder_features, quantisers
from tools.starter.world import picture_number, render


def _pictures(count: int = 4, side: int = 64) -> np.ndarray:
    made = (picture_number(index, 5) for index in range(count))
    return np.stack([np.asarray(render(picture, side, rng)) for picture, rng in made])


def test_encoder_network_equals_the_numpy_map():
    images = _pictures()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        moments = quantisers()[0](Encoder()(pixels))
    expected = torch.from_numpy(encode(images))
    torch.testing.assert_close(moments[:, :4] * SCALE_FACTOR, expected, atol=0.03, rtol=0)
    assert (moments[:, 4:] == -30).all()


def test_post_quant_conv_returns_the_mean_colours():
    images = _pictures()
    features = decoder_features(torch.from_numpy(encode(images)))
    means = torch.from_numpy(images / 127.5 - 1).reshape(4, 8, 8, 8, 8, 3).mean((2, 4))
    torch.testing.assert_close(
        features[:, :3].permute(0, 2, 3, 1), means.float(), atol=1e-3, rtol=0
    )
    assert CONTRAST_STD_GAIN > 1
