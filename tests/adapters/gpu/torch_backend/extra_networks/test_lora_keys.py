"""Names of layers in LoRA files (spec networks.md 2.2)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNetArchitecture
from hexfusion.adapters.gpu.torch_backend.extra_networks.diffusers_layers import (
    find_layer,
    layer_names,
    original_layer,
)
from hexfusion.adapters.gpu.torch_backend.extra_networks.lora_keys import LoraKey, split_key

GOLDEN = Path(__file__).parents[4] / "golden"
CASES = json.loads((GOLDEN / "lora_key_names.json").read_text("utf-8"))["data"]
#: Of SD1's and SD2's UNet, the names are those of the vectors: two blocks a level.
RELEASED = UNetArchitecture(
    in_channels=4,
    out_channels=4,
    channels=(320, 640, 1280, 1280),
    res_blocks=(2, 2, 2, 2),
    depths=((1, 1), (1, 1), (1, 1), (0, 0)),
    up_depths=((1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0)),
    middle_depth=1,
    heads=(8, 8, 8, 8),
    context_width=768,
    time_width=1280,
    linear_projection=False,
)
ONE_BLOCK = {"depths": ((1,), (1,), (1,), (0,)), "up_depths": ((1, 1), (1, 1), (1, 1), (0, 0))}
NAMES = layer_names(RELEASED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['key']} {case['is_sd2']}")
def test_lora_key_names(case):
    """V:lora_key_names, all of it."""
    names = layer_names(RELEASED, open_clip=case["is_sd2"])
    assert original_layer(LoraKey(case["key"], ""), names) == case["expected"]


FIRST_TEXT = "0_transformer_text_model_encoder_layers_5_mlp_fc1"


@pytest.mark.parametrize(
    ("layer", "meant"),
    [
        ("lora_unet_input_blocks_4_1_proj_in", "diffusion_model_input_blocks_4_1_proj_in"),
        ("lora_te1_text_model_encoder_layers_5_mlp_fc1", FIRST_TEXT),
        ("oft_unet_out_2", "diffusion_model_out_2"),
        ("lora_unet_nowhere", None),
    ],
)  # fmt: skip
def test_names_that_are_original_already(layer, meant):
    """Spec networks.md 2.2, what is tried if no layer of that name exists."""
    layers = {
        "diffusion_model_input_blocks_4_1_proj_in",
        FIRST_TEXT,
        "diffusion_model_out_2",
    }
    assert find_layer(LoraKey(layer, ""), layers, NAMES) == meant


def test_sdxls_name_for_the_text_encoder_serves_sd1_too():
    name = "transformer_text_model_encoder_layers_5_mlp_fc1"
    key = LoraKey("lora_te1_text_model_encoder_layers_5_mlp_fc1", "")
    assert find_layer(key, {name}, NAMES) == name


def test_names_with_dots_mean_the_checkpoints_own_blocks_and_kohyas_those_of_a1111():
    """On two blocks a level they are the same; on one, kohya's go where A1111's formulas say."""
    one = layer_names(replace(RELEASED, res_blocks=(1, 1, 1, 1), **ONE_BLOCK))
    path = "down_blocks.1.attentions.0.proj_in"
    dotted = split_key(f"unet.{path}.lora_A.weight")
    flat = split_key("lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight")
    assert original_layer(dotted, NAMES) == original_layer(flat, NAMES)
    assert original_layer(dotted, one) == "diffusion_model_input_blocks_3_1_proj_in"
    assert original_layer(flat, one) == "diffusion_model_input_blocks_4_1_proj_in"


TO_Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
Q_PROJ = "text_model_encoder_layers_0_self_attn_q_proj"


ATTENTION = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1"
BARE = ATTENTION.removeprefix("unet.")
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


UP = "lora_unet_conv_in", "lora_up.weight"


@pytest.mark.parametrize(
    ("key", "layer", "part"),
    [
        # kohya, which A1111 reads: the first dot
        (f"{TO_Q}.lora_down.weight", TO_Q, "lora_down.weight"),
        (f"{TO_Q}.alpha", TO_Q, "alpha"),
        (f"{TO_Q}.lora_A.weight", TO_Q, "lora_A.weight"),
        (f"{TO_Q}.hada_w1_a", TO_Q, "hada_w1_a"),
        (f"{TO_Q}.a1.weight", TO_Q, "a1.weight"),
        ("no_dot", "no_dot", ""),
        # diffusers
        (f"{ATTENTION}.to_q.lora.down.weight", TO_Q, "lora_down.weight"),
        (f"{ATTENTION}.processor.to_q_lora.up.weight", TO_Q, "lora_up.weight"),
        (f"{ATTENTION}.processor.to_out_lora.up.weight", f"{TO_Q[:-1]}out_0", "lora_up.weight"),
        (f"text_encoder.{TEXT}.lora_linear_layer.up.weight", f"lora_te_{Q_PROJ}", "lora_up.weight"),
        (f"text_encoder_2.{TEXT}.lora.up.weight", f"lora_te2_{Q_PROJ}", "lora_up.weight"),
        ("unet.conv_in.alpha", "lora_unet_conv_in", "alpha"),
        ("unet.conv_in.lora.alpha", "lora_unet_conv_in", "alpha"),
        # diffusers' `save_attn_procs`, which names no network
        (f"{BARE}.processor.to_q_lora.down.weight", TO_Q, "lora_down.weight"),
        (f"{BARE}.processor.to_out_lora.down.weight", f"{TO_Q[:-1]}out_0", "lora_down.weight"),
        # PEFT
        (f"{ATTENTION}.to_q.lora_A.weight", TO_Q, "lora_down.weight"),
        ("unet.conv_in.lora_magnitude_vector", "lora_unet_conv_in", "magnitude"),
        ("unet.conv_in.lora_magnitude_vector.weight", "lora_unet_conv_in", "magnitude"),
        ("unet.conv_in.lora_magnitude_vector.my.own", "lora_unet_conv_in", "magnitude"),
        ("unet.conv_in.lora_magnitude_vector.a_1.weight", "lora_unet_conv_in", "magnitude"),
        ("base_model.model.conv_in.lora_B.weight", *UP),
        ("base_model.model.unet.conv_in.lora_B.default.weight", *UP),
        ("unet.base_model.model.conv_in.lora_B.default_0.weight", *UP),
        ("conv_in.lora_B.my.adapter.weight", *UP),
        ("conv_in.lora_B.lora_A.weight", *UP),
        ("transformer.conv_in.lora_B.weight", *UP),
        (f"base_model.model.{TEXT}.lora_B.weight", f"lora_te_{Q_PROJ}", "lora_up.weight"),
        (f"{TEXT}.lora_B.a.weight", f"lora_te_{Q_PROJ}", "lora_up.weight"),
        # transformers 5 writes no `text_model`
        (f"text_encoder.{TEXT[11:]}.lora_B.weight", f"lora_te_{Q_PROJ}", "lora_up.weight"),
        # ComfyUI
        ("diffusion_model.conv_in.lora_up.weight", *UP),
        ("diffusion_model.out.2.lora_A.weight", "lora_unet_out_2", "lora_down.weight"),
        ("model.diffusion_model.out.2.diff", "lora_unet_out_2", "diff"),
        ("out.2.lora_B.weight", "lora_unet_out_2", "lora_up.weight"),
        (f"text_encoders.clip_l.transformer.{TEXT}.dora_scale", f"lora_te_{Q_PROJ}", "dora_scale"),
        (f"clip_g.transformer.{TEXT}.lora_mid.weight", f"lora_te2_{Q_PROJ}", "lora_mid.weight"),
        # another family's
        ("transformer.single_blocks.0.lin.alpha", "single_blocks_0_lin", "alpha"),
    ],
)  # fmt: skip
def test_layouts(key, layer, part):
    assert split_key(key)[:2] == (layer, part)
