"""ParseNet: which part of a face each pixel belongs to.

A residual encoder and decoder, published with Chen et al., "Progressive Semantic-Aware Style
Transformation for Blind Face Restoration" (arXiv 2009.08709). Names of tensors:
parsing_parsenet.pth.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceNetwork, FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.shared_layers import FixedNorm, leaky, twice_nearest

CLASSES = 19


class _Norm(nn.Module):
    """A `FixedNorm` under the additional name `norm`, as in the file."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = FixedNorm(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class _Layer(nn.Module):
    """A 3x3 convolution with mirrored borders.

    `scale` -1 halves the sides (stride 2), 1 doubles them before the convolution.
    """

    def __init__(self, taken: int, made: int, scale: int = 0, *, normed: bool = False) -> None:
        super().__init__()
        self._up = scale > 0
        self.conv2d = nn.Conv2d(taken, made, 3, 2 if scale < 0 else 1, bias=not normed)
        self.norm = _Norm(made) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self._up:
            x = twice_nearest(x)
        return self.norm(self.conv2d(functional.pad(x, (1, 1, 1, 1), "reflect")))


class _Block(nn.Module):
    """A residual block of two layers, whose shortcut is scaled as they are."""

    def __init__(self, taken: int, made: int, scale: int = 0) -> None:
        super().__init__()
        same = scale == 0 and taken == made
        self.shortcut_func = nn.Identity() if same else _Layer(taken, made, scale)
        self.conv1 = _Layer(taken, made, max(scale, 0), normed=True)
        self.conv2 = _Layer(made, made, min(scale, 0), normed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_func(x) + self.conv2(leaky(self.conv1(x)))


class ParseNet(FaceNetwork):
    """Classifies pixels: (1, 3, H, W) RGB, -1 to 1, to logits of 19 classes, (1, 19, H, W).

    The network's second output, a picture of the face, is not computed.
    """

    def __init__(self, state: FaceTensors) -> None:
        super().__init__()
        first = _Layer(3, state.widths("encoder.0.conv2d.weight")[0])
        down = [_block(state, "encoder", each, -1) for each in range(1, state.count("encoder."))]
        self.encoder = nn.Sequential(first, *down)
        within = range(state.count("body."))
        self.body = nn.Sequential(*(_block(state, "body", each, 0) for each in within))
        up = range(state.count("decoder."))
        self.decoder = nn.Sequential(*(_block(state, "decoder", each, 1) for each in up))
        classes, taken, *_ = state.widths("out_mask_conv.conv2d.weight")
        self.out_mask_conv = _Layer(taken, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        return self.out_mask_conv(self.decoder(x + self.body(x)))

    def fits(self) -> bool:
        """See `FaceNetwork.fits`."""
        return self(torch.empty(1, 3, 512, 512)).shape == (1, CLASSES, 512, 512)


def _block(state: FaceTensors, part: str, number: int, scale: int) -> _Block:
    made, taken, *_ = state.widths(f"{part}.{number}.conv1.conv2d.weight")
    return _Block(taken, made, scale)
