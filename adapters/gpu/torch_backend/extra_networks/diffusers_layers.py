"""Finding the layer of a checkpoint that a LoRA file names by diffusers' path.

A layer's name is its path in the original checkpoint with `_` for `.`. Files may instead use
diffusers' paths, which group blocks by resolution: which original block a path names depends on how
many residual blocks the checkpoint has a level. Source: spec networks.md 2.2, whose formulas are
those of two blocks a level.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hexfusion.adapters.gpu.torch_backend.architectures.conversion.unet import unet_modules
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET, UNetArchitecture

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


def original_layer(layer: str, names: LayerNames) -> str:
    """The original name of a layer given by diffusers' name; any other name unchanged."""
    if layer.startswith(_FLAT):
        head, tail = layer.removeprefix(_FLAT), ""
        while head:
            if head in names.modules:
                return names.modules[head] + tail
            head, joint, last = head.rpartition("_")
            tail = f"{joint}{last}{tail}"
    if match := _TEXT.fullmatch(layer):
        number, rest = match.groups()
        if names.open_clip:
            return f"model_transformer_resblocks_{number}_{_open_clip(rest)}"
        return f"transformer_text_model_encoder_layers_{number}_{rest}"
    if match := _SECOND_TEXT.fullmatch(layer):
        return f"1_model_transformer_resblocks_{match[1]}_{_open_clip(match[2])}"
    return layer


def find_layer(layer: str, layers: Collection[str], names: LayerNames) -> str | None:
    """The one of a checkpoint's `layers` that a file calls `layer`; None if there is none."""
    name = original_layer(layer, names)
    return next((each for each in (name, *_other_names(layer, name)) if each in layers), None)


def _other_names(layer: str, name: str) -> list[str]:
    if "lora_unet" in layer:
        return [layer.replace("lora_unet", "diffusion_model")]
    if "lora_te1_text_model" in layer:
        return [
            layer.replace("lora_te1_text_model", first)
            for first in ("0_transformer_text_model", "transformer_text_model")
        ]
    if "lora_te_text_model" in layer:  # SDXL's first encoder, by diffusers' unflattened name
        return [layer.replace("lora_te_text_model", "0_transformer_text_model")]
    if name.startswith("1_model_"):  # the refiner's only encoder, diffusers' second
        return [name.replace("1_model_", "0_model_", 1)]
    return [layer.replace("oft_unet", "diffusion_model")] if "oft_unet" in layer else []


def _open_clip(rest: str) -> str:
    if "mlp_fc1" in rest:
        return rest.replace("mlp_fc1", "mlp_c_fc")
    if "mlp_fc2" in rest:
        return rest.replace("mlp_fc2", "mlp_c_proj")
    return rest.replace("self_attn", "attn")
