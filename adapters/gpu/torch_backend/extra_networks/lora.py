"""Reading LoRA files of all kinds. Source: spec networks.md 2.2, 2.4, 2.6."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.extra_networks.lora_keys import find_layer, split_key
from hexfusion.adapters.gpu.torch_backend.files.validation import check_finite, check_plain
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.patches.lora_kinds import LoraKind, LoraTensors, kind_of
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Layer
from hexfusion.domain.errors import CheckpointError

_BUNDLED = "bundle_emb."
_OPEN_CLIP_ATTENTION = re.compile(r"(.+resblocks_\d+_attn)_(?:q|k|v|out)_proj")
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True, eq=False)
class LoraFile:
    """The tensors of a LoRA file for one checkpoint.

    `layers` maps the checkpoint's layer names to their kind and tensors. `unmatched` counts layers
    of the file that the checkpoint lacks, `incomplete` those that need more tensors. `embeddings`
    are bundled embeddings: the contents of embedding files, by name.
    """

    layers: Mapping[str, tuple[LoraKind, LoraTensors]]
    unmatched: int
    incomplete: int
    embeddings: Mapping[str, Mapping[str, object]]


def read_lora(path: Path, layers: Mapping[str, Layer], *, open_clip: bool = False) -> LoraFile:
    """Read the file's tensors for a checkpoint's `layers`, copied to their device and dtype.

    Raises `CheckpointError`, naming file and tensor, for a file that is damaged, holds anything
    but tensors, or has an unknown kind of LoRA.
    """
    weights = read_weights(path)
    found: dict[str, dict[str, Tensor]] = {}
    embeddings: dict[str, dict[str, object]] = {}
    unmatched: set[str] = set()
    for key in weights:
        tensor = check_finite(check_plain(weights[key], weights.file, key), weights.file, key)
        if key.startswith(_BUNDLED):
            _bundle(embeddings, key.removeprefix(_BUNDLED), tensor)
            continue
        layer, part = split_key(key)
        name = find_layer(layer, layers, open_clip=open_clip)
        if name is None:
            unmatched.add(layer)
        else:
            found.setdefault(name, {})[part] = _placed(tensor, layers[name])
    complete = {name: parts for name, parts in found.items() if _is_complete(name, found)}
    return LoraFile(
        layers={
            name: (_kind(weights.file, name, parts, layers[name]), parts)
            for name, parts in complete.items()
        },
        unmatched=len(unmatched),
        incomplete=len(found) - len(complete),
        embeddings=embeddings,
    )


def _placed(tensor: Tensor, layer: Layer) -> Tensor:
    """A copy, independent of the mapped file. Scalars keep their dtype."""
    if tensor.numel() == 1 or not tensor.is_floating_point():
        return tensor.to(layer.weight.device, copy=True)
    return tensor.to(layer.weight.device, layer.weight.dtype, copy=True)


def _kind(file: str, name: str, parts: LoraTensors, layer: Layer) -> LoraKind:
    kind = kind_of(parts)
    if kind is None:
        raise CheckpointError(file, f"has {sorted(parts)}, which is no LoRA we know", name)
    if kind.name == "LoRA" and not isinstance(layer, nn.Linear | nn.Conv2d):
        raise CheckpointError(file, "has a LoRA for a layer that takes none", name)
    return kind


def _is_complete(name: str, found: Mapping[str, object]) -> bool:
    """Whether the layer can be used: an OpenCLIP attention needs all four of its projections."""
    match = _OPEN_CLIP_ATTENTION.fullmatch(name)
    return match is None or all(f"{match[1]}_{each}" in found for each in _PROJECTIONS)


def _bundle(embeddings: dict[str, dict[str, object]], rest: str, tensor: Tensor) -> None:
    """`<name>.<field>`, where the field may be `string_to_param.<anything>`."""
    name, _, field = rest.partition(".")
    content = embeddings.setdefault(name, {})
    if field.startswith("string_to_param."):
        inner = content.setdefault("string_to_param", {})
        assert isinstance(inner, dict)
        inner[field.removeprefix("string_to_param.")] = tensor.clone()
    else:
        content[field] = tensor.clone()
