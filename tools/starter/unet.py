"""The SD1 UNet in small, with LDM module names (`input_blocks.1.0.in_layers.2.weight`, ...).

Layout after Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022).
Shapes: x [n, 4, h, w] scaled latents, t [n] timesteps 0..999, context [n, 77, width].
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .layers import GROUPS, Upsample, conv3, plus_minus, zero

CHANNELS, MULTIPLIERS, ATTENTION_AT, HEADS, CONTEXT = 64, (1, 1, 2, 2), (2, 4), 8, 64
RES_EPS = 1.0  # training value, 1e-5 after export; a tenth of it in SpatialTransformer
SKIP_GAIN = 0.6  # amplitude at which conv_in carries x to the output


def timestep_embedding(t: torch.Tensor, size: int) -> torch.Tensor:
    """Cosines then sines of t at `size / 2` frequencies from 1 to 1/10000."""
    half = size // 2
    rates = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
    angles = t[:, None].float() * rates[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, time: int, eps: float):
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs, eps=eps), nn.SiLU(), conv3(inputs, outputs)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, outputs, eps=eps),
            nn.SiLU(),
            nn.Dropout(0),
            zero(conv3(outputs, outputs)),
        )
        same = inputs == outputs
        self.skip_connection = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Attention(nn.Module):
    def __init__(self, width: int, context: int):
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0))

    def forward(self, x, context=None):
        context = x if context is None else context
        heads = [
            f(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for f, y in ((self.to_q, x), (self.to_k, context), (self.to_v, context))
        ]
        out = F.scaled_dot_product_attention(*heads)
        return self.to_out(out.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(width, hidden * 2)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(
            GEGLU(width, 4 * width), nn.Dropout(0), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.attn1 = Attention(width, width)
        self.ff = FeedForward(width)
        self.attn2 = Attention(width, CONTEXT)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, eps=eps / 10)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width)])
        self.proj_out = zero(nn.Conv2d(width, width, 1))

    def forward(self, x, context):
        h = self.proj_in(self.norm(x))
        tokens = h.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return x + self.proj_out(tokens.transpose(1, 2).reshape(h.shape))


class Downsample(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.op = conv3(channels, channels, stride=2)

    def forward(self, x):
        return self.op(x)


class Block(nn.Sequential):
    """Modules in a row; each gets what it needs of the time embedding and the context."""

    def forward(self, x, emb, context):
        for module in self:
            if isinstance(module, ResBlock):
                x = module(x, emb)
            elif isinstance(module, SpatialTransformer):
                x = module(x, context)
            else:
                x = module(x)
        return x


class UNet(nn.Module):
    """Predicts the noise eps [n, 4, h, w] in x; starts out as eps = x."""

    def __init__(self, eps: float = RES_EPS):
        super().__init__()
        self.eps = eps
        time = 4 * CHANNELS
        self.time_embed = nn.Sequential(nn.Linear(CHANNELS, time), nn.SiLU(), nn.Linear(time, time))
        self.input_blocks = nn.ModuleList([Block(conv3(4, CHANNELS))])
        width, scale, skips = CHANNELS, 1, [CHANNELS]
        for level, multiplier in enumerate(MULTIPLIERS):
            outputs = CHANNELS * multiplier
            self.input_blocks.append(self._block(width, outputs, time, scale))
            width = outputs
            skips.append(width)
            if level < len(MULTIPLIERS) - 1:
                self.input_blocks.append(Block(Downsample(width)))
                skips.append(width)
                scale *= 2
        self.middle_block = Block(
            ResBlock(width, width, time, eps),
            SpatialTransformer(width, eps),
            ResBlock(width, width, time, eps),
        )
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(MULTIPLIERS))):
            for k in range(2):
                outputs = CHANNELS * multiplier
                block = self._block(width + skips.pop(), outputs, time, scale)
                width = outputs
                if level and k == 1:
                    block.append(Upsample(width))
                    scale //= 2
                self.output_blocks.append(block)
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, CHANNELS, eps=eps), nn.SiLU(), zero(conv3(CHANNELS, 4))
        )
        self._copy_input_to_output()

    def _block(self, inputs: int, outputs: int, time: int, scale: int) -> Block:
        block = Block(ResBlock(inputs, outputs, time, self.eps))
        if scale in ATTENTION_AT:
            block.append(SpatialTransformer(outputs, self.eps))
        return block

    def _copy_input_to_output(self) -> None:
        """Route x through conv_in, the last skip connection and `out`, as +- channel pairs."""
        plus_minus(self.input_blocks[0][0], SKIP_GAIN)
        merge = self.output_blocks[-1][0].skip_connection
        gain = (
            1 + SKIP_GAIN**2
        ) ** 0.5 / SKIP_GAIN  # undoes `out`'s normalisation at unit variance
        with torch.no_grad():
            merge.weight[:8] = 0
            merge.bias[:8] = 0
            for row in range(8):
                merge.weight[row, CHANNELS + row] = 1
            for k in range(4):
                self.out[2].weight[k, 2 * k, 1, 1] = gain
                self.out[2].weight[k, 2 * k + 1, 1, 1] = -gain

    def forward(self, x, t, context):
        emb = self.time_embed(timestep_embedding(t, CHANNELS))
        skips = []
        for block in self.input_blocks:
            x = block(x, emb, context)
            skips.append(x)
        x = self.middle_block(x, emb, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), emb, context)
        return self.out(x)
