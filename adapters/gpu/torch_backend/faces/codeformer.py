"""CodeFormer: a transformer predicts the entries of a codebook that restore a damaged face.

Source: Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer" (arXiv
2206.11253), section 3. Names of tensors: codeformer-v0.1.0.pth.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceNetwork, FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.vqgan import (
    Blocks,
    Doubling,
    Halving,
    Residual,
    residual,
)

#: Pixels of a face's sides.
SIDE = 512
#: Attention heads.
_HEADS = 8
#: Added to variances.
_TINY = 1e-5


class _Layer(nn.Module):
    """A pre-norm transformer layer; the position embedding is added to queries and keys only."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, _HEADS)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        value = self.norm1(x)
        query = value + places
        x = x + self.self_attn(query, query, value, need_weights=False)[0]
        return x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))


class _Fusion(nn.Module):
    """Scales and shifts decoder features by encoder features, with a `weight` from 0 to 1."""

    def __init__(self, state: FaceTensors, name: str) -> None:
        super().__init__()
        self.encode_enc: Residual = residual(state, f"{name}encode_enc.")
        made = state.widths(f"{name}scale.0.weight")[0]
        for part in ("scale", "shift"):
            convolutions = (nn.Conv2d(made, made, 3, padding=1) for _ in range(2))
            first, second = convolutions
            self.add_module(part, nn.Sequential(first, nn.LeakyReLU(0.2), second))

    def forward(self, seen: Tensor, drawn: Tensor, weight: float) -> Tensor:
        both = self.encode_enc(torch.cat((seen, drawn), 1))
        scale, shift = self.get_submodule("scale")(both), self.get_submodule("shift")(both)
        return drawn + weight * (drawn * scale + shift)


class _Codebook(nn.Module):
    """The codebook's entries, (count, width)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)


class CodeFormer(FaceNetwork):
    """Restores a face: (1, 3, 512, 512) RGB, -1 to 1, to the same shape, about -1 to 1."""

    def __init__(self, state: FaceTensors) -> None:
        super().__init__()
        self.encoder = Blocks(state, "encoder.", doubled=False)
        self.generator = Blocks(state, "generator.", doubled=True)
        count, features = state.widths("quantize.embedding.weight", 2)
        self.quantize = _Codebook(count, features)
        places, width = state.widths("position_emb", 2)
        self.position_emb = nn.Parameter(torch.empty(places, width))
        self.feat_emb = nn.Linear(features, width)
        layers = range(state.count("ft_layers."))
        inner = state.widths("ft_layers.0.linear1.weight", 2)[0]
        self.ft_layers = nn.ModuleList(_Layer(width, inner) for _ in layers)
        self.idx_pred_layer = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, count, bias=False)
        )
        prefix = "fuse_convs_dict."
        sizes = sorted({name[len(prefix) :].split(".")[0] for name in state if prefix in name})
        self.fuse_convs_dict = nn.ModuleDict(
            {size: _Fusion(state, f"{prefix}{size}.") for size in sizes}
        )

    def forward(self, x: Tensor, weight: float) -> Tensor:
        """`weight` is the fidelity: 0 uses the codebook only, 1 stays closest to the input."""
        found, seen = self._encoded(x)
        drawn = _in_the_manner_of(self._looked_up(found), found)
        return self._decoded(drawn, seen, weight)

    def _encoded(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """The features that codes are predicted from, and features by side before each halving."""
        seen = {}
        for block in self.encoder.blocks:
            if isinstance(block, Halving):
                seen[x.shape[-1]] = x
            x = block(x)
        return x, seen

    def _looked_up(self, found: Tensor) -> Tensor:
        """The most likely codebook entry at every position, shaped as `found`."""
        places = self.position_emb.unsqueeze(1)
        x = self.feat_emb(found.flatten(2).permute(2, 0, 1))
        for layer in self.ft_layers:
            x = layer(x, places)
        entries = self.quantize.embedding(self.idx_pred_layer(x).argmax(-1))
        return entries.permute(1, 2, 0).reshape(found.shape)

    def _decoded(self, x: Tensor, seen: dict[int, Tensor], weight: float) -> Tensor:
        """Decode, fusing encoder features after the first block of each size."""
        fresh = False
        for block in self.generator.blocks:
            x = block(x)
            size = x.shape[-1]
            if fresh and weight > 0 and str(size) in self.fuse_convs_dict:
                x = self.fuse_convs_dict[str(size)](seen[size], x, weight)
            fresh = isinstance(block, Doubling)
        return x

    def fits(self) -> bool:
        """See `FaceNetwork.fits`."""
        face = torch.empty(1, 3, SIDE, SIDE)
        sizes = {str(size) for size in self._encoded(face)[1]}
        return sizes.issuperset(self.fuse_convs_dict) and self(face, 1.0).shape == face.shape


def _in_the_manner_of(x: Tensor, other: Tensor) -> Tensor:
    """`x` with each channel's mean and spread those of `other` (adaptive instance norm)."""

    def moments(y: Tensor) -> tuple[Tensor, Tensor]:
        flat = y.flatten(2)
        spread = (flat.var(2, keepdim=True) + _TINY).sqrt()
        return flat.mean(2, keepdim=True).unsqueeze(-1), spread.unsqueeze(-1)

    mean, spread = moments(x)
    wanted_mean, wanted_spread = moments(other)
    return (x - mean) / spread * wanted_spread + wanted_mean
