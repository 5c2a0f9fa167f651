"""Finding the layer of a checkpoint that a tensor in a LoRA file is for, by its key.

A key is `<layer>.<part>`. A layer's name is its path in the original checkpoint with `_` for `.`.
Files may instead use diffusers' paths, flattened the same way (kohya's scripts) or not flattened
(diffusers, PEFT; A1111 does not read these). Source: spec networks.md 2.2.
"""

import re
from collections.abc import Collection

_RESNET = {
    "conv1": "in_layers_2",
    "conv2": "out_layers_3",
    "norm1": "in_layers_0",
    "norm2": "out_layers_0",
    "time_emb_proj": "emb_layers_1",
    "conv_shortcut": "skip_connection",
}

_END = re.compile(r"lora_unet_conv_(in|out)(.*)")
_TIME = re.compile(r"lora_unet_time_embedding_linear_(\d+)(.*)")
_BLOCK = re.compile(r"lora_unet_(down|up)_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)")
_MIDDLE = re.compile(r"lora_unet_mid_block_(attentions|resnets)_(\d+)_(.+)")
_DOWN = re.compile(r"lora_unet_down_blocks_(\d+)_downsamplers_0_conv")
_UP = re.compile(r"lora_unet_up_blocks_(\d+)_upsamplers_0_conv")
_TEXT = re.compile(r"lora_te_text_model_encoder_layers_(\d+)_(.+)")
_SECOND_TEXT = re.compile(r"lora_te2_text_model_encoder_layers_(\d+)_(.+)")

#: First parts of paths that are not flattened, with kohya's prefix for each. kohya's prefix of a
#: single text encoder is "te", of two "te1" and "te2".
_ROOTS = (
    ("unet.", "lora_unet_"),
    ("text_encoder_2.", "lora_te2_"),
    ("text_encoder.", "lora_te_"),
)
_PEFT_ROOT = "base_model.model."
#: Endings of keys that are not flattened, longest first, with kohya's name for the part.
_PARTS = (
    (".lora_linear_layer.down.weight", "lora_down.weight"),
    (".lora_linear_layer.up.weight", "lora_up.weight"),
    (".lora.down.weight", "lora_down.weight"),
    (".lora.up.weight", "lora_up.weight"),
    (".lora_A.default.weight", "lora_down.weight"),
    (".lora_B.default.weight", "lora_up.weight"),
    (".lora_A.weight", "lora_down.weight"),
    (".lora_B.weight", "lora_up.weight"),
    (".lora_magnitude_vector.default.weight", "magnitude"),
    (".lora_magnitude_vector.weight", "magnitude"),
    (".lora_magnitude_vector", "magnitude"),
    (".lora.alpha", "alpha"),
    (".alpha", "alpha"),
)
_PROCESSOR = re.compile(r"(.+)\.processor\.(to_\w+)_lora\.(down|up)\.weight")


def split_key(key: str) -> tuple[str, str]:
    """(layer, part) of a key, in the names of kohya's scripts.

    A path that is not flattened must end in a part of diffusers or PEFT; any other key is split at
    its first dot. The part is empty where there is none.
    """
    path = _rooted(key)
    for root, flat in _ROOTS:
        if path.startswith(root) and (found := _path_and_part(path.removeprefix(root))):
            return flat + found[0].replace(".", "_"), found[1]
    layer, _, part = key.partition(".")
    return layer, part


def _rooted(key: str) -> str:
    """The key with its network's root: PEFT saves a network alone, without naming it."""
    if not key.startswith(_PEFT_ROOT):
        return key
    path = key.removeprefix(_PEFT_ROOT)
    if path.startswith(tuple(root for root, _ in _ROOTS)):
        return path
    return f"text_encoder.{path}" if path.startswith("text_model.") else f"unet.{path}"


def _path_and_part(rest: str) -> tuple[str, str] | None:
    if match := _PROCESSOR.fullmatch(rest):
        path, name, side = match.groups()
        return f"{path}.{'to_out.0' if name == 'to_out' else name}", f"lora_{side}.weight"
    for ending, part in _PARTS:
        if rest.endswith(ending):
            return rest.removesuffix(ending), part
    return None


def original_layer(layer: str, *, open_clip: bool = False) -> str:
    """The original name of a layer given by diffusers' name; any other name unchanged.

    `open_clip` says that the only text encoder is OpenCLIP's.
    """
    if match := _END.fullmatch(layer):
        end, rest = match.groups()
        return f"diffusion_model_{'input_blocks_0_0' if end == 'in' else 'out_2'}{rest}"
    if match := _TIME.fullmatch(layer):
        return f"diffusion_model_time_embed_{2 * int(match[1]) - 2}{match[2]}"
    if match := _BLOCK.fullmatch(layer):
        side, level, kind, number, rest = match.groups()
        index = 3 * int(level) + int(number)
        place = f"input_blocks_{1 + index}" if side == "down" else f"output_blocks_{index}"
        return f"diffusion_model_{place}_{_inside(kind, rest)}"
    if match := _MIDDLE.fullmatch(layer):
        kind, number, rest = match.groups()
        index = 1 if kind == "attentions" else 2 * int(number)
        return f"diffusion_model_middle_block_{index}_{_renamed(kind, rest)}"
    if match := _DOWN.fullmatch(layer):
        return f"diffusion_model_input_blocks_{3 + 3 * int(match[1])}_0_op"
    if match := _UP.fullmatch(layer):
        level = int(match[1])
        return f"diffusion_model_output_blocks_{2 + 3 * level}_{2 if level else 1}_conv"
    if match := _TEXT.fullmatch(layer):
        number, rest = match.groups()
        if open_clip:
            return f"model_transformer_resblocks_{number}_{_open_clip(rest)}"
        return f"transformer_text_model_encoder_layers_{number}_{rest}"
    if match := _SECOND_TEXT.fullmatch(layer):
        return f"1_model_transformer_resblocks_{match[1]}_{_open_clip(match[2])}"
    return layer


def find_layer(layer: str, layers: Collection[str], *, open_clip: bool = False) -> str | None:
    """The one of a checkpoint's `layers` that a file calls `layer`; None if there is none."""
    name = original_layer(layer, open_clip=open_clip)
    return next((each for each in (name, *_other_names(layer)) if each in layers), None)


def _other_names(layer: str) -> list[str]:
    if "lora_unet" in layer:
        return [layer.replace("lora_unet", "diffusion_model")]
    if "lora_te1_text_model" in layer:
        return [
            layer.replace("lora_te1_text_model", first)
            for first in ("0_transformer_text_model", "transformer_text_model")
        ]
    if "lora_te_text_model" in layer:  # SDXL's first encoder, by diffusers' unflattened name
        return [layer.replace("lora_te_text_model", "0_transformer_text_model")]
    return [layer.replace("oft_unet", "diffusion_model")] if "oft_unet" in layer else []


def _inside(kind: str, rest: str) -> str:
    return f"{1 if kind == 'attentions' else 0}_{_renamed(kind, rest)}"


def _renamed(kind: str, rest: str) -> str:
    return _RESNET.get(rest, rest) if kind == "resnets" else rest


def _open_clip(rest: str) -> str:
    if "mlp_fc1" in rest:
        return rest.replace("mlp_fc1", "mlp_c_fc")
    if "mlp_fc2" in rest:
        return rest.replace("mlp_fc2", "mlp_c_proj")
    return rest.replace("self_attn", "attn")
