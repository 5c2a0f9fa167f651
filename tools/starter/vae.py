"""The autoencoder in small, with LDM module names: a closed-form encoder and a trained decoder.

All levels have 64 channels. Every normalisation of the decoder is trained with epsilon 1 (see
`layers.py`); `export.py` brings it to 1e-6. The encoder's weights are written down, not trained:
its residual branches are silent, and three averaging downsamplings compute the block features of
`latents.py`.
"""

import numpy as np
import torch
from torch import nn

from .latents import FEATURE_MEAN, LUMA, SCALE_FACTOR, WHITEN
from .layers import GROUPS, Upsample, conv3, plus_minus, zero

CHANNELS, LEVELS, DECODER_EPS, STANDARD_EPS = 64, 4, 1.0, 1e-6
DECODER_GAIN = 0.3  # amplitude of the mean colours on the decoder's stream
CONTRAST_STD_GAIN = float(WHITEN[3, 3])


class ResnetBlock(nn.Module):
    def __init__(self, eps: float):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, CHANNELS, eps=eps)
        self.conv1 = conv3(CHANNELS, CHANNELS)
        self.norm2 = nn.GroupNorm(GROUPS, CHANNELS, eps=eps)
        self.conv2 = zero(conv3(CHANNELS, CHANNELS))

    def forward(self, x):
        h = self.conv1(nn.functional.silu(self.norm1(x)))
        return x + self.conv2(nn.functional.silu(self.norm2(h)))


class AttnBlock(nn.Module):
    def __init__(self, eps: float):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, CHANNELS, eps=eps)
        self.q, self.k, self.v = (nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(3))
        self.proj_out = zero(nn.Conv2d(CHANNELS, CHANNELS, 1))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2).transpose(1, 2)[:, None] for f in (self.q, self.k, self.v))
        out = nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.proj_out(out.transpose(1, 2).reshape(x.shape))


def _middle(eps: float) -> nn.ModuleDict:
    return nn.ModuleDict(
        {"block_1": ResnetBlock(eps), "attn_1": AttnBlock(eps), "block_2": ResnetBlock(eps)}
    )


class Decoder(nn.Module):
    """Features [n, 4, h, w] (mean R, G, B in -1..1; contrast) -> picture [n, 3, 8h, 8w]."""

    def __init__(self, eps: float = DECODER_EPS):
        super().__init__()
        self.conv_in = conv3(4, CHANNELS)
        self.mid = _middle(eps)
        self.up = nn.ModuleList()
        for level in range(LEVELS):
            parts = {"block": nn.ModuleList(ResnetBlock(eps) for _ in range(2))}
            if level:
                parts["upsample"] = Upsample(CHANNELS)
            self.up.append(nn.ModuleDict(parts))
        self.norm_out = nn.GroupNorm(GROUPS, CHANNELS, eps=eps)
        self.conv_out = zero(conv3(CHANNELS, 3))
        self.skip_fine = False  # training only: leave out the blocks at full resolution
        self._pass_mean_colours()

    def _pass_mean_colours(self) -> None:
        """Start as nearest-neighbour enlargement of the mean colours."""
        plus_minus(self.conv_in, DECODER_GAIN)
        with torch.no_grad():
            for level in range(1, LEVELS):
                conv = self.up[level]["upsample"].conv
                for row in range(8):
                    conv.weight[row] = 0
                    conv.bias[row] = 0
                    conv.weight[row, row, 1, 1] = 1
            gain = (1 + DECODER_GAIN**2 * 0.4) ** 0.5 / DECODER_GAIN
            for k in range(3):
                self.conv_out.weight[k, 2 * k, 1, 1] = gain
                self.conv_out.weight[k, 2 * k + 1, 1, 1] = -gain

    def forward(self, features):
        x = self.conv_in(features)
        x = self.mid["block_2"](self.mid["attn_1"](self.mid["block_1"](x)))
        for level in reversed(range(LEVELS)):
            part = self.up[level]
            if not (self.skip_fine and level == 0):
                for block in part["block"]:
                    x = block(x)
            if level:
                x = part["upsample"](x)
        return self.conv_out(nn.functional.silu(self.norm_out(x)))


class Downsample(nn.Module):
    """Stride 2, padded on the right and below only, as in LDM."""

    def __init__(self):
        super().__init__()
        self.conv = conv3(CHANNELS, CHANNELS, stride=2, padding=0)

    def forward(self, x):
        return self.conv(nn.functional.pad(x, (0, 1, 0, 1)))


ENCODER_GAIN = 1e-4  # amplitude of the picture on the encoder's stream: norm_out stays linear


class Encoder(nn.Module):
    """Picture [n, 3, 8h, 8w] in -1..1 -> [n, 8, h, w]: the four features, and zeros."""

    def __init__(self):
        super().__init__()
        eps = STANDARD_EPS
        self.conv_in = zero(conv3(3, CHANNELS))
        self.down = nn.ModuleList()
        for level in range(LEVELS):
            parts = {"block": nn.ModuleList([ResnetBlock(eps)])}
            if level < LEVELS - 1:
                parts["downsample"] = Downsample()
                zero(parts["downsample"])
            self.down.append(nn.ModuleDict(parts))
        self.mid = _middle(eps)
        self.norm_out = nn.GroupNorm(GROUPS, CHANNELS, eps=eps)
        self.conv_out = zero(conv3(CHANNELS, 8))
        self._write_down()

    @torch.no_grad()
    def _write_down(self) -> None:
        """Channels 0..5: +-R, +-G, +-B. From level 2 on, 6..13: +-luminance of each 2 x 2 cell of
        the 4 x 4 quadrant; at level 3, 6..7: +-luminance of the block's centre 4 x 4."""
        pairs = [(k, sign) for k in range(3) for sign in (1, -1)]
        for row, (k, sign) in enumerate(pairs):
            self.conv_in.weight[row, k, 1, 1] = sign * ENCODER_GAIN
        steps = [self.down[level]["downsample"].conv for level in range(LEVELS - 1)]
        for conv in steps:
            for row in range(6):
                conv.weight[row, row, :2, :2] = 0.25
        luma = torch.from_numpy(LUMA)
        for cell in range(4):  # level 1 -> 2: keep each of the four 2 x 2 cells apart
            i, j = divmod(cell, 2)
            for part, sign in enumerate((1, -1)):
                steps[1].weight[6 + 2 * cell + part, 0:6:2, i, j] = luma * sign / 2
                steps[1].weight[6 + 2 * cell + part, 1:6:2, i, j] = -luma * sign / 2
        for quadrant in range(4):  # level 2 -> 3: the inner cell of each quadrant
            i, j = divmod(quadrant, 2)
            inner = 3 - quadrant
            for part in range(2):
                steps[2].weight[6 + part, 6 + 2 * inner + part, i, j] = 0.25
        gain = STANDARD_EPS**0.5 / ENCODER_GAIN / 2  # undoes norm_out; each pair counts twice
        read = {0: {0: 1.0}, 1: {2: 1.0}, 2: {4: 1.0}}
        read[3] = {6: 64 / 48, **{2 * k: -64 / 48 * float(LUMA[k]) for k in range(3)}}
        for feature, sources in read.items():
            for channel, weight in sources.items():
                self.conv_out.weight[feature, channel, 1, 1] = 2 * gain * weight
                self.conv_out.weight[feature, channel + 1, 1, 1] = -2 * gain * weight

    def forward(self, x):
        h = self.conv_in(x)
        for part in self.down:
            for block in part["block"]:
                h = block(h)
            if "downsample" in part:
                h = part["downsample"](h)
        h = self.mid["block_2"](self.mid["attn_1"](self.mid["block_1"](h)))
        return self.conv_out(nn.functional.silu(self.norm_out(h)))


def quantisers() -> tuple[nn.Conv2d, nn.Conv2d]:
    """(quant_conv, post_quant_conv): features <-> latents / scale factor; log variance -30."""
    quant, post = zero(nn.Conv2d(8, 8, 1)), zero(nn.Conv2d(4, 4, 1))
    whiten = WHITEN.astype(np.float64) / SCALE_FACTOR
    unwhiten = np.linalg.inv(whiten)
    unwhiten[3] *= CONTRAST_STD_GAIN  # the decoder reads the contrast at std 0.5
    offset = FEATURE_MEAN.astype(np.float64)
    with torch.no_grad():
        quant.weight[:4, :4, 0, 0] = torch.from_numpy(whiten)
        quant.bias[:4] = torch.from_numpy(-whiten @ offset)
        quant.bias[4:] = -30.0
        post.weight[:, :, 0, 0] = torch.from_numpy(unwhiten)
        post.bias[:] = torch.from_numpy(offset)
    return quant, post


def decoder_features(latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents [n, 4, h, w] -> what `Decoder` reads."""
    with torch.no_grad():
        return quantisers()[1].to(latents.device)(latents / SCALE_FACTOR)
