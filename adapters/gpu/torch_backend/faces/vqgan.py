"""The encoder and decoder of CodeFormer's VQGAN, built from the names of their tensors.

Source: Esser et al., "Taming Transformers for High-Resolution Image Synthesis" (arXiv 2012.09841);
Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer" (arXiv
2206.11253), appendix A. Both are lists of blocks by number.
"""

import math

from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.shared_layers import twice_nearest
from hexfusion.domain.errors import CheckpointError

_GROUPS, _TINY = 32, 1e-6


def _norm(features: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, features, eps=_TINY)


class Residual(nn.Module):
    """A residual block of two convolutions, each after a norm and a swish."""

    def __init__(self, taken: int, made: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(taken), nn.Conv2d(taken, made, 3, padding=1)
        self.norm2, self.conv2 = _norm(made), nn.Conv2d(made, made, 3, padding=1)
        self.conv_out = nn.Identity() if taken == made else nn.Conv2d(taken, made, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.silu(self.norm1(x)))
        return self.conv_out(x) + self.conv2(functional.silu(self.norm2(y)))


class _Attention(nn.Module):
    """Self-attention over all pixels, with 1x1 convolutions as projections."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = _norm(features)
        for name in ("q", "k", "v", "proj_out"):
            self.add_module(name, nn.Conv2d(features, features, 1))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (self.get_submodule(name)(normed).flatten(2).mT for name in "qkv")
        seen = functional.scaled_dot_product_attention(q, k, v, scale=1 / math.sqrt(q.shape[-1]))
        return x + self.get_submodule("proj_out")(seen.mT.view_as(x))


class Halving(nn.Module):
    """A convolution that halves the sides."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.pad(x, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """Doubles the sides, then a convolution."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(twice_nearest(x))


class Blocks(nn.Module):
    """The numbered blocks of an encoder, or with `doubled` of a decoder."""

    def __init__(self, state: FaceTensors, prefix: str, *, doubled: bool) -> None:
        super().__init__()
        name = f"{prefix}blocks."
        resizing = Doubling if doubled else Halving
        self.blocks = nn.ModuleList(
            _block(state, f"{name}{number}.", resizing) for number in range(state.count(name))
        )


def residual(state: FaceTensors, name: str) -> Residual:
    """The residual block whose tensors' names begin with `name`."""
    made, taken, *_ = state.widths(f"{name}conv1.weight")
    return Residual(taken, made)


def _block(state: FaceTensors, name: str, resizing: type[Halving] | type[Doubling]) -> nn.Module:
    if f"{name}conv1.weight" in state:
        return residual(state, name)
    if f"{name}q.weight" in state:
        return _Attention(state.widths(f"{name}q.weight")[0])
    if f"{name}conv.weight" in state:
        return resizing(state.widths(f"{name}conv.weight")[0])
    match state[f"{name}weight"].shape:
        case (features,):
            return _norm(features)
        case (made, taken, 3, 3):
            return nn.Conv2d(taken, made, 3, padding=1)
    raise CheckpointError(state.file, "is of no block that is known here", f"{name}weight")
