"""Splitting the key of a tensor in a LoRA file into the layer it is for, and what it is there.

A key is `<layer>.<part>`. kohya's scripts write a layer's path with `_` for `.`, and A1111 reads no
other files. diffusers, PEFT and ComfyUI write paths with dots, below the names of the networks, or
below none. Source: spec networks.md 2.2; PEFT's and diffusers' documentation of their files.
"""

import re
from typing import NamedTuple

#: kohya's prefixes. That of a single text encoder is "te", those of two "te1" and "te2".
_UNET, _TEXT, _SECOND_TEXT = "lora_unet_", "lora_te_", "lora_te2_"

#: What may precede a path with dots, with kohya's prefix for the network it names; None if it names
#: none. Several may follow each other, in any order.
_ROOTS: tuple[tuple[str, str | None], ...] = (
    ("base_model.model.", None),
    ("unet.", _UNET),
    ("model.diffusion_model.", _UNET),
    ("diffusion_model.", _UNET),
    ("text_encoder_2.", _SECOND_TEXT),
    ("text_encoder.", _TEXT),
    ("text_encoders.", None),  # ComfyUI's, above the name of one of them
    ("clip_g.", _SECOND_TEXT),
    ("clip_l.", _TEXT),
    ("clip_h.", _TEXT),
    ("cond_stage_model.", None),
    ("transformer.", None),
)
#: First parts of paths, which tell the network where no root does.
_IN_UNET = re.compile(
    r"(down_blocks|up_blocks|mid_block|conv_in|conv_out|(time|add|class)_embedding"
    r"|input_blocks|output_blocks|middle_block|time_embed|label_emb|out\.\d)(\.|$)"
)
_IN_TEXT = re.compile(r"text_model\.")
#: A path of transformers 5, which leaves out the name of the model inside.
_IN_NEW_TEXT = re.compile(r"(encoder\.layers|embeddings|final_layer_norm)\.")

_SIDES = {"A": "lora_down.weight", "B": "lora_up.weight"}
_PROCESSOR = re.compile(r"(.+)\.processor\.(to_\w+)_lora\.(down|up)\.weight")
#: PEFT writes the adapter's name, which may have dots, between the matrix and `weight`.
_PEFT = re.compile(r"(.+?)\.lora_([AB])(\..+)?\.weight")
_MAGNITUDE = re.compile(r"(.+?)\.lora_magnitude_vector(\..+)?")
_DIFFUSERS = re.compile(r"(.+)\.(?:lora|lora_linear_layer)\.(down|up)\.weight")
_ALPHA = re.compile(r"(.+?)(?:\.lora)?\.alpha")
#: Parts that kohya's and LyCORIS' files have, after a path with dots as ComfyUI writes it.
_PLAIN = re.compile(
    r"(.+)\.(lora_(?:down|up|mid)\.weight|hada_\w+|lokr_\w+|diff|diff_b|w_norm|b_norm|on_input"
    r"|oft_blocks|oft_diag|rescale|[ab][12]\.weight|scale|dora_scale)"
)


class LoraKey(NamedTuple):
    """A key: the `layer` and the `part` in the names of kohya's scripts.

    `part` is empty where there is none. `path` is the layer's path with dots below its network, as
    the file writes it, and empty in kohya's files.
    """

    layer: str
    part: str
    path: str = ""


def split_key(key: str) -> LoraKey:
    """Split a key. Any that is no path with dots and a known part is split at its first dot."""
    prefix, rest = _rooted(key)
    found = _path_and_part(rest)
    if found is not None and (prefix is not None or "." in found[0]):
        path, part = found
        return LoraKey((prefix or "") + path.replace(".", "_"), part, path)
    layer, _, part = key.partition(".")
    return LoraKey(layer, part)


def _rooted(key: str) -> tuple[str | None, str]:
    """kohya's prefix for the key's network, None if it is not known, and the path below it."""
    prefix, rest = None, key
    while root := next((each for each in _ROOTS if rest.startswith(each[0])), None):
        prefix, rest = prefix or root[1], rest.removeprefix(root[0])
    if prefix is None and _IN_UNET.match(rest):
        return _UNET, rest
    if _IN_NEW_TEXT.match(rest) and prefix != _UNET:
        rest = f"text_model.{rest}"
    if prefix is None and _IN_TEXT.match(rest):
        return _TEXT, rest
    return prefix, rest


def _path_and_part(rest: str) -> tuple[str, str] | None:
    if match := _PROCESSOR.fullmatch(rest):
        path, name, side = match.groups()
        return f"{path}.{'to_out.0' if name == 'to_out' else name}", f"lora_{side}.weight"
    if match := _PEFT.fullmatch(rest):
        return match[1], _SIDES[match[2]]
    if match := _MAGNITUDE.fullmatch(rest):
        return match[1], "magnitude"
    if match := _DIFFUSERS.fullmatch(rest):
        return match[1], f"lora_{match[2]}.weight"
    if match := _ALPHA.fullmatch(rest):
        return match[1], "alpha"
    if match := _PLAIN.fullmatch(rest):
        return match[1], match[2]
    return None
