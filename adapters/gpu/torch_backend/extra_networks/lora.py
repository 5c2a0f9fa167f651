"""Reading LoRA files of all kinds. Source: spec networks.md 2.2, 2.4, 2.6."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.extra_networks.diffusers_layers import (
    LayerNames,
    find_layer,
)
from hexfusion.adapters.gpu.torch_backend.extra_networks.lora_keys import LoraKey, split_key
from hexfusion.adapters.gpu.torch_backend.extra_networks.peft_config import (
    PeftConfig,
    read_peft_config,
)
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

    `layers` maps the checkpoint's layer names to their kind and tensors. `unmatched` are the layers
    of the file that the checkpoint lacks, each by its first key; `incomplete` counts those that
    need more tensors. `embeddings` are bundled embeddings: the contents of embedding files, by
    name.
    """

    layers: Mapping[str, tuple[LoraKind, LoraTensors]]
    unmatched: Sequence[str]
    incomplete: int
    embeddings: Mapping[str, Mapping[str, object]]


def read_lora(path: Path, layers: Mapping[str, Layer], names: LayerNames) -> LoraFile:
    """Read the file's tensors for a checkpoint's `layers`, copied to their device and dtype.

    `names` are the layers' names in other files than A1111's. Raises `CheckpointError`, naming file
    and tensor, for a file that is damaged, holds anything but tensors, has an unknown kind of LoRA,
    or two tensors for one part of a layer, such as two adapters of PEFT.
    """
    weights = read_weights(path)
    found: dict[str, dict[str, Tensor]] = {}
    embeddings: dict[str, dict[str, object]] = {}
    keys: dict[str, LoraKey] = {}
    unmatched: dict[str, str] = {}
    for key in weights:
        tensor = check_finite(check_plain(weights[key], weights.file, key), weights.file, key)
        if key.startswith(_BUNDLED):
            _bundle(embeddings, key.removeprefix(_BUNDLED), tensor)
            continue
        split = split_key(key)
        name = find_layer(split, layers, names)
        if name is None:
            unmatched.setdefault(split.layer, key)
            continue
        parts = found.setdefault(name, {})
        if split.part in parts and split.path:  # of kohya's names A1111 takes the last
            message = "is the second tensor for one part of a layer: one adapter a file is read"
            raise CheckpointError(weights.file, message, key)
        parts[split.part] = _placed(tensor, layers[name])
        keys[name] = split
    _add_alphas(found, keys, read_peft_config(path, weights.metadata))
    complete = {name: parts for name, parts in found.items() if _is_complete(name, found)}
    return LoraFile(
        layers={
            name: (_kind(weights.file, name, parts, layers[name]), parts)
            for name, parts in complete.items()
        },
        unmatched=tuple(unmatched.values()),
        incomplete=len(found) - len(complete),
        embeddings=embeddings,
    )


def _add_alphas(
    found: Mapping[str, dict[str, Tensor]], keys: Mapping[str, LoraKey], config: PeftConfig
) -> None:
    """Give layers without an alpha that of their PEFT configuration, if there is one."""
    for name, parts in found.items():
        down = parts.get("lora_down.weight")
        if down is None or "alpha" in parts:
            continue
        alpha = config.alpha(keys[name], len(down))
        if alpha is not None:
            parts["alpha"] = down.new_tensor(alpha, dtype=torch.float32)


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
