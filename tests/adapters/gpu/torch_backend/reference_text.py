"""A second opinion on text encoders: the transformer written down plainly.

Attention is torch's own `nn.MultiheadAttention`, which is what OpenCLIP is made of; the code under
test goes through transformers' classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Reference:
    """`states` are the embedded tokens and what each block makes of them; `last` is the last
    through the final norm; `pooled` what the projection makes of that, if there is one.
    """

    states: list[Tensor]
    last: Tensor
    pooled: Tensor | None
    norm: Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


@torch.inference_mode()
def encode_open_clip(
    tensors: Tensors,
    prefix: str,
    tokens: Tensor,
    activation: Callable[[Tensor], Tensor] = functional.gelu,
) -> Reference:
    """Of tensors in OpenCLIP's layout; heads are 64 wide."""
    ours = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, ours[f"{name}.weight"], ours[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], ours[f"{name}.weight"], ours[f"{name}.bias"], 1e-5
        )

    hidden = ours["token_embedding.weight"][tokens] + ours["positional_embedding"]
    width = hidden.shape[-1]
    mask = torch.full((77, 77), -torch.inf).triu(1)
    states = [hidden]
    block = 0
    while f"transformer.resblocks.{block}.ln_1.weight" in ours:
        here = f"transformer.resblocks.{block}"
        attention = nn.MultiheadAttention(width, width // 64, batch_first=True)
        attention.load_state_dict(
            {
                name.removeprefix(f"{here}.attn."): tensor
                for name, tensor in ours.items()
                if name.startswith(f"{here}.attn.")
            }
        )
        x = norm(f"{here}.ln_1", hidden)
        hidden = hidden + attention(x, x, x, need_weights=False, attn_mask=mask)[0]
        x = activation(linear(f"{here}.mlp.c_fc", norm(f"{here}.ln_2", hidden)))
        hidden = hidden + linear(f"{here}.mlp.c_proj", x)
        states.append(hidden)
        block += 1
    last, pooled = norm("ln_final", hidden), None
    if "text_projection" in ours:
        ends = [row.tolist().index(49407) for row in tokens]  # the first end of text
        pooled = last[torch.arange(len(tokens)), ends] @ ours["text_projection"]
    return Reference(states, last, pooled, lambda x: norm("ln_final", x))


def as_open_clip(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """A text model in transformers' layout, its tensors named and joined as OpenCLIP's are."""
    joined = {
        "token_embedding.weight": tensors[f"{prefix}embeddings.token_embedding.weight"],
        "positional_embedding": tensors[f"{prefix}embeddings.position_embedding.weight"],
    }
    for kind in ("weight", "bias"):
        joined[f"ln_final.{kind}"] = tensors[f"{prefix}final_layer_norm.{kind}"]
    block = 0
    while f"{prefix}encoder.layers.{block}.mlp.fc1.weight" in tensors:
        theirs, ours = f"{prefix}encoder.layers.{block}", f"transformer.resblocks.{block}"
        for kind in ("weight", "bias"):
            thirds = [tensors[f"{theirs}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            joined[f"{ours}.attn.in_proj_{kind}"] = torch.cat(thirds)
            for there, here in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                joined[f"{ours}.{here}.{kind}"] = tensors[f"{theirs}.{there}.{kind}"]
        block += 1
    return joined
