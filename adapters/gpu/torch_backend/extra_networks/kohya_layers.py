"""Layers of the UNet by the names of kohya's scripts: diffusers' paths, with `_` for `.`.

A1111 finds the original layer by formulas of two residual blocks a level. On a checkpoint with
another number they mean other layers than the file's trainer did, or none; the picture is A1111's,
and so are the formulas. Source: spec networks.md 2.2.
"""

import re

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


def kohya_layer(layer: str) -> str:
    """The original name of a layer given by diffusers' name; any other name unchanged."""
    if match := _END.fullmatch(layer):
        end, rest = match.groups()
        return f"diffusion_model_{'input_blocks_0_0' if end == 'in' else 'out_2'}{rest}"
    if match := _TIME.fullmatch(layer):
        return f"diffusion_model_time_embed_{2 * int(match[1]) - 2}{match[2]}"
    if match := _BLOCK.fullmatch(layer):
        side, level, kind, number, rest = match.groups()
        index = 3 * int(level) + int(number)
        place = f"input_blocks_{1 + index}" if side == "down" else f"output_blocks_{index}"
        return f"diffusion_model_{place}_{1 if kind == 'attentions' else 0}_{_renamed(kind, rest)}"
    if match := _MIDDLE.fullmatch(layer):
        kind, number, rest = match.groups()
        index = 1 if kind == "attentions" else 2 * int(number)
        return f"diffusion_model_middle_block_{index}_{_renamed(kind, rest)}"
    if match := _DOWN.fullmatch(layer):
        return f"diffusion_model_input_blocks_{3 + 3 * int(match[1])}_0_op"
    if match := _UP.fullmatch(layer):
        level = int(match[1])
        return f"diffusion_model_output_blocks_{2 + 3 * level}_{2 if level else 1}_conv"
    return layer


def _renamed(kind: str, rest: str) -> str:
    return _RESNET.get(rest, rest) if kind == "resnets" else rest
