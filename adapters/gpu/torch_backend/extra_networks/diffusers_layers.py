"""Finding the layer of a checkpoint that a LoRA file names by diffusers' path.

A layer's name is its path in the original checkpoint with `_` for `.`. Files may instead use
diffusers' paths, which group blocks by resolution: which original block a path names depends on how
many residual blocks the checkpoint has a level. Files that A1111 reads, by kohya's names, go where
A1111 takes them (`kohya_layers`). Source: spec networks.md 2.2.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hexfusion.adapters.gpu.torch_backend.architectures.conversion.unet import unet_modules
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET, UNetArchitecture
from hexfusion.adapters.gpu.torch_backend.extra_networks.kohya_layers import kohya_layer
from hexfusion.adapters.gpu.torch_backend.extra_networks.lora_keys import LoraKey

_FLAT = "lora_unet_"
_TEXT = re.compile(r"lora_te_text_model_encoder_layers_(\d+)_(.+)")
_SECOND_TEXT = re.compile(r"lora_te2_text_model_encoder_layers_(\d+)_(.+)")
#: SDXL's vector enters by `class_embedding` in the networks that are built here; files of diffusers
#: call it by the name of its own pipelines.
_ALIASES = {"class_embedding_": "add_embedding_"}


@dataclass(frozen=True)
class LayerNames:
    """How a checkpoint's layers are called in LoRA files.

    `modules` maps diffusers' module paths in the UNet to the original ones, both with `_` for `.`.
    `open_clip` says that the only text encoder is OpenCLIP's.
    """

    modules: Mapping[str, str]
    open_clip: bool = False


def layer_names(unet: UNetArchitecture, *, open_clip: bool = False) -> LayerNames:
    """The names of a checkpoint's layers, from the architecture of its own UNet."""
    modules: dict[str, str] = {}
    for path, original in unet_modules(unet).items():
        place = "diffusion_model_" + original.removeprefix(UNET).replace(".", "_")
        flat = path.replace(".", "_")
        modules[flat] = place
        for ours, theirs in _ALIASES.items():
            if flat.startswith(ours):
                modules[theirs + flat.removeprefix(ours)] = place
    return LayerNames(modules, open_clip)


def original_layer(key: LoraKey, names: LayerNames) -> str:
    """The original name of the layer that a key gives by diffusers' name; any other unchanged."""
    layer = key.layer
    if layer.startswith(_FLAT):
        return _by_modules(layer, names.modules) if key.path else kohya_layer(layer)
    if match := _TEXT.fullmatch(layer):
        number, rest = match.groups()
        if names.open_clip:
            return f"model_transformer_resblocks_{number}_{_open_clip(rest)}"
        return f"transformer_text_model_encoder_layers_{number}_{rest}"
    if match := _SECOND_TEXT.fullmatch(layer):
        return f"1_model_transformer_resblocks_{match[1]}_{_open_clip(match[2])}"
    return layer


def find_layer(key: LoraKey, layers: Collection[str], names: LayerNames) -> str | None:
    """The one of a checkpoint's `layers` that a file's key is for; None if there is none."""
    name = original_layer(key, names)
    found = (each for each in (name, *_other_names(key, name)) if each in layers)
    return next(found, None)


def _by_modules(layer: str, modules: Mapping[str, str]) -> str:
    head, tail = layer.removeprefix(_FLAT), ""
    while head:
        if head in modules:
            return modules[head] + tail
        head, joint, last = head.rpartition("_")
        tail = f"{joint}{last}{tail}"
    return layer


def _other_names(key: LoraKey, name: str) -> list[str]:
    layer = key.layer
    if "lora_unet" in layer:
        return [layer.replace("lora_unet", "diffusion_model")]
    if "lora_te1_text_model" in layer:
        return [
            layer.replace("lora_te1_text_model", first)
            for first in ("0_transformer_text_model", "transformer_text_model")
        ]
    if "lora_te_text_model" in layer:  # SDXL's first encoder, by diffusers' unflattened name
        return [layer.replace("lora_te_text_model", "0_transformer_text_model")]
    if key.path and name.startswith("1_model_"):  # the refiner's only encoder, diffusers' second
        return [name.replace("1_model_", "0_model_", 1)]
    return [layer.replace("oft_unet", "diffusion_model")] if "oft_unet" in layer else []


def _open_clip(rest: str) -> str:
    if "mlp_fc1" in rest:
        return rest.replace("mlp_fc1", "mlp_c_fc")
    if "mlp_fc2" in rest:
        return rest.replace("mlp_fc2", "mlp_c_proj")
    return rest.replace("self_attn", "attn")
