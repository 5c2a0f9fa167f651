"""LoRA, LoCon, LoHa, LoKr, IA3, GLoRA, OFT and DoRA: what each adds to a layer's weight.

Each kind computes an update U with the shape of the weight W (IA3, GLoRA and OFT also read W). It
adds m * D(factor * U), where m is the multiplier, factor is `scale`, else alpha / rank, else 1,
and D is DoRA's rescaling, where the file has it. Source: spec networks.md 2.4.

Papers: LoRA (Hu et al. 2021, arXiv:2106.09685), FedPara, of which LoHa is made (Hyeon-Woo et al.
2021, arXiv:2108.06098), LyCORIS (Yeh et al. 2023, arXiv:2309.14859), IA3 (Liu et al. 2022,
arXiv:2205.05638), OFT (Qiu et al. 2023, arXiv:2306.07280), BOFT (Liu et al. 2023,
arXiv:2311.06243), DoRA (Liu et al. 2024, arXiv:2402.09353).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

LoraTensors = Mapping[str, Tensor]
"""A LoRA file's tensors for one layer, by the part of their name after the layer's."""


class Misfit(ValueError):
    """A LoRA's tensors do not fit each other, or the layer."""


@dataclass(frozen=True)
class LoraKind:
    """One kind of LoRA.

    `product(parts, weight, rank)` computes the update U, of any shape; `rank` is a limit or None.
    `size(parts, weight)` is the number of its elements, checked first, since a small file can
    describe a product of any size. `rank_of(parts)` is the rank that alpha is divided by, or None.
    `bias` names the part that is added to the layer's bias. `scaled`: alpha and `scale` apply.
    `decomposes`: DoRA's scale applies.
    """

    name: str
    size: Callable[[LoraTensors, Tensor], int]
    product: Callable[[LoraTensors, Tensor, int | None], Tensor]
    rank_of: Callable[[LoraTensors], int | None] = lambda parts: None
    bias: str | None = None
    scaled: bool = True
    decomposes: bool = True


@dataclass(frozen=True)
class WeightDelta:
    """What is added to a layer's weight and, if not None, to its bias."""

    weight: Tensor
    bias: Tensor | None = None


def delta(
    kind: LoraKind, parts: LoraTensors, weight: Tensor, multiplier: float, rank: int | None = None
) -> WeightDelta:
    """What a LoRA adds to a layer with this `weight`.

    `parts` and `weight` have the same dtype and device, and the result has the weight's shape.
    `rank` limits the rank of a LoRA. Raises `Misfit`.
    """
    try:
        return _delta(kind, parts, weight, multiplier, rank)
    except (RuntimeError, IndexError) as error:  # what torch says of shapes that do not go together
        raise Misfit(str(error).partition("\n")[0]) from error


def _delta(
    kind: LoraKind, parts: LoraTensors, weight: Tensor, multiplier: float, rank: int | None
) -> WeightDelta:
    shape = _target(weight, kind.size(parts, weight))
    added = kind.product(parts, weight, rank)
    if "bias" in parts:
        added = added.reshape(parts["bias"].shape) + parts["bias"]
    added = added.reshape(shape) * _factor(kind, parts)
    if kind.decomposes and "dora_scale" in parts:
        added = _decomposed(added, weight, parts["dora_scale"], kept_axis=1)
    elif "magnitude" in parts:
        magnitude = parts["magnitude"].reshape(-1, *[1] * (weight.ndim - 1))
        added = _decomposed(added, weight, magnitude, kept_axis=0)
    added = added * multiplier
    if added.shape != weight.shape:  # an inpainting UNet's further channels
        added = torch.nn.functional.pad(added, (0, 0, 0, 0, 0, weight.shape[1] - shape[1]))
    bias = parts.get(kind.bias) if kind.bias else None
    return WeightDelta(added, None if bias is None else bias * multiplier)


def _target(weight: Tensor, size: int) -> Sequence[int]:
    """The shape of the product: the weight's, or that of a convolution before it was widened from
    4 to 9 channels for inpainting."""
    shape = tuple(weight.shape)
    if size == prod(shape):
        return shape
    narrow = (shape[0], 4, *shape[2:])
    if len(shape) == 4 and shape[1] == 9 and size == prod(narrow):
        return narrow
    raise Misfit(f"is for {size} elements, the layer has {list(shape)}")


def _factor(kind: LoraKind, parts: LoraTensors) -> float:
    if not kind.scaled:
        return 1.0
    if "scale" in parts:
        return _scalar(parts, "scale")
    rank = kind.rank_of(parts)
    return _scalar(parts, "alpha") / rank if rank and "alpha" in parts else 1.0


def _scalar(parts: LoraTensors, name: str) -> float:
    if parts[name].numel() != 1:
        raise Misfit(f"{name} is no number")
    return float(parts[name].item())


def _decomposed(added: Tensor, weight: Tensor, scale: Tensor, *, kept_axis: int) -> Tensor:
    """DoRA: direction from weight and product, length from `scale`, one for each entry of an axis.

    A1111's files have one for each input channel, PEFT's one for each output channel.
    """
    moved = added + weight
    axes = [axis for axis in range(weight.ndim) if axis != kept_axis]
    length = torch.linalg.vector_norm(moved, dim=axes, keepdim=True)
    return moved * (scale / length) - weight


def kind_of(parts: Collection[str]) -> LoraKind | None:
    """The first kind that has parts of these names; None if there is none."""
    return next((kind for fits, kind in _KINDS if fits(frozenset(parts))), None)


# --- LoRA, and LoCon, which is LoRA for convolutions


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1)


def _lora_size(parts: LoraTensors, weight: Tensor) -> int:
    return _outer(parts["lora_up.weight"], parts["lora_down.weight"], parts.get("lora_mid.weight"))


def _outer(up: Tensor, down: Tensor, middle: Tensor | None = None) -> int:
    if up.ndim < 2 or down.ndim < 2:
        raise Misfit("has a tensor that is no matrix")
    kernel = prod(middle.shape[2:]) if middle is not None else 1
    return len(up) * prod(down.shape[1:]) * kernel


def _lora(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    up, down = _matrix(parts["lora_up.weight"]), _matrix(parts["lora_down.weight"])
    if "lora_mid.weight" in parts:
        _bounded(parts["lora_mid.weight"], len(up), down.shape[1])
        return torch.einsum("in,nmkl,mj->ijkl", up, parts["lora_mid.weight"], down)
    return up[:, :rank] @ down[:rank]


def _peft_size(parts: LoraTensors, weight: Tensor) -> int:
    return _outer(parts["lora_B.weight"], parts["lora_A.weight"])


def _peft(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    return _matrix(parts["lora_B.weight"])[:, :rank] @ _matrix(parts["lora_A.weight"])[:rank]


# --- LoHa: a product of two LoRAs, element by element


def _loha_size(parts: LoraTensors, weight: Tensor) -> int:
    return _side_size(parts["hada_w1_a"], parts["hada_w1_b"], parts.get("hada_t1"))


def _side_size(a: Tensor, b: Tensor, core: Tensor | None) -> int:
    if a.ndim != 2 or b.ndim != 2:
        raise Misfit("has a tensor that is no matrix")
    if core is None:
        return a.shape[0] * b.shape[1]
    return a.shape[1] * b.shape[1] * prod(core.shape[2:])


def _side(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    if core is None:
        return a @ b
    _bounded(core, b.shape[1], a.shape[1])
    return torch.einsum("ijkl,jr,ip->prkl", core, b, a)


def _bounded(core: Tensor, *sides: int) -> None:
    """Raises `Misfit` for a core whose ranks would make intermediate products too large."""
    if core.ndim != 4 or max(core.shape[:2]) > 4 * max(sides):
        raise Misfit(f"has a core of {list(core.shape)} for a layer of {list(sides)}")


def _loha(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    sides = [
        (parts[f"hada_w{n}_a"], parts[f"hada_w{n}_b"], parts.get(f"hada_t{n}")) for n in (1, 2)
    ]
    if _side_size(*sides[0]) != _side_size(*sides[1]):
        raise Misfit("has two sides of different sizes")
    return _side(*sides[0]) * _side(*sides[1])


# --- LoKr: a Kronecker product


def _kron_side_size(parts: LoraTensors, name: str) -> int:
    if name in parts:
        return parts[name].numel()
    return _side_size(parts[f"{name}_a"], parts[f"{name}_b"], parts.get(_core(name)))


def _core(name: str) -> str:
    return "lokr_t2" if name == "lokr_w2" else ""


def _kron_side(parts: LoraTensors, name: str, limit: int) -> Tensor:
    if name in parts:
        return parts[name]
    if _kron_side_size(parts, name) > limit:
        raise Misfit("has a side larger than the layer")
    return _side(parts[f"{name}_a"], parts[f"{name}_b"], parts.get(_core(name)))


def _lokr_size(parts: LoraTensors, weight: Tensor) -> int:
    return _kron_side_size(parts, "lokr_w1") * _kron_side_size(parts, "lokr_w2")


def _lokr(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    first, second = (_kron_side(parts, name, weight.numel()) for name in ("lokr_w1", "lokr_w2"))
    if second.ndim == 4:
        first = first[..., None, None]
    return torch.kron(first.contiguous(), second.contiguous())


def _lokr_rank(parts: LoraTensors) -> int | None:
    found = next((parts[name] for name in ("lokr_w2_b", "lokr_w1_b") if name in parts), None)
    return None if found is None else len(found)


# --- those that add what they hold


def _held(name: str) -> LoraKind:
    bias = {"diff": "diff_b", "w_norm": "b_norm"}[name]
    return LoraKind(
        name="full" if name == "diff" else "norm",
        size=lambda parts, weight: parts[name].numel(),
        product=lambda parts, weight, rank: parts[name],
        bias=bias,
    )


# --- those that read the weight


def _weights_size(parts: LoraTensors, weight: Tensor) -> int:
    return weight.numel()


def _ia3(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    axis = 1 if bool(parts["on_input"].any()) else 0
    shape = [-1 if each == axis else 1 for each in range(weight.ndim)]
    if parts["weight"].numel() != weight.shape[axis]:
        raise Misfit(f"has {parts['weight'].numel()} scales for {weight.shape[axis]} channels")
    return weight * parts["weight"].reshape(shape)


def _glora(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    a1, a2, b1, b2 = (_matrix(parts[f"{name}.weight"]) for name in ("a1", "a2", "b1", "b2"))
    matrix = _matrix(weight)
    if (len(b2), b1.shape[1]) != matrix.shape or a1.shape[1] != matrix.shape[1]:
        raise Misfit(f"does not fit {list(weight.shape)}")
    return b2 @ b1 + (matrix @ a2) @ a1


def _oft(parts: LoraTensors, weight: Tensor, rank: int | None) -> Tensor:
    """Rotates the output channels. In float32, as torch has no inverse in half precision."""
    rotations, butterfly = _rotations(parts, len(weight))
    whole = _matrix(weight).float()
    if butterfly:
        for index, blocks in enumerate(rotations):
            half = 2**index * blocks.shape[-1] // 2
            grouped = whole.reshape(-1, 2, half, whole.shape[1]).transpose(1, 2)
            turned = _turned(blocks, grouped.reshape(whole.shape))
            ungrouped = turned.reshape(-1, half, 2, whole.shape[1]).transpose(1, 2)
            whole = ungrouped.reshape(whole.shape)
    else:
        whole = _turned(rotations.transpose(-1, -2), whole)
    if "rescale" in parts:
        whole = whole * parts["rescale"].float().reshape(-1, 1)
    return whole.to(weight.dtype).reshape(weight.shape) - weight


def _turned(blocks: Tensor, rows: Tensor) -> Tensor:
    """`rows` (k * b, n), each block of b rows multiplied by its matrix of `blocks` (k, b, b)."""
    count, size = blocks.shape[:2]
    if count * size != len(rows):
        raise Misfit(f"turns {count} times {size} channels, the layer has {len(rows)}")
    return torch.bmm(blocks, rows.reshape(count, size, -1)).reshape(rows.shape)


def _rotations(parts: LoraTensors, channels: int) -> tuple[Tensor, bool]:
    """The rotations, and whether they are BOFT's: (k, b, b) for OFT, (m, k, b, b) for BOFT."""
    if "oft_blocks" not in parts:
        return parts["oft_diag"].float(), False
    blocks = parts["oft_blocks"].float()
    skew = blocks - blocks.transpose(-1, -2)
    if "alpha" in parts and (limit := _scalar(parts, "alpha") * channels):
        norm = skew.norm()
        skew = skew * ((norm.clamp(max=limit) + 1e-8) / (norm + 1e-8))
    one = torch.eye(skew.shape[-1], device=skew.device)
    return (one + skew) @ torch.linalg.inv(one - skew), blocks.ndim == 4


Fits = Callable[[frozenset[str]], bool]


def _has(*names: str) -> Fits:
    return lambda parts: parts.issuperset(names)


def _has_lokr(parts: frozenset[str]) -> bool:
    return all(f"lokr_w{n}" in parts or {f"lokr_w{n}_a", f"lokr_w{n}_b"} <= parts for n in (1, 2))


_KINDS: tuple[tuple[Fits, LoraKind], ...] = (
    (
        _has("lora_up.weight", "lora_down.weight"),
        LoraKind("LoRA", _lora_size, _lora, lambda parts: len(parts["lora_down.weight"])),
    ),
    (
        # A1111 loses alpha, scale and DoRA's scale of files with these names.
        _has("lora_A.weight", "lora_B.weight"),
        LoraKind("LoRA", _peft_size, _peft, scaled=False, decomposes=False),
    ),
    (
        _has("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
        LoraKind("LoHa", _loha_size, _loha, lambda parts: len(parts["hada_w1_b"])),
    ),
    (_has("weight", "on_input"), LoraKind("IA3", _weights_size, _ia3)),
    (_has_lokr, LoraKind("LoKr", _lokr_size, _lokr, _lokr_rank)),
    (_has("diff"), _held("diff")),
    (_has("w_norm", "b_norm"), _held("w_norm")),
    (
        _has("a1.weight", "a2.weight", "b1.weight", "b2.weight", "alpha"),
        LoraKind("GLoRA", _weights_size, _glora),
    ),
    (
        lambda parts: not parts.isdisjoint(("oft_blocks", "oft_diag")),
        LoraKind("OFT", _weights_size, _oft, scaled=False),
    ),
)
