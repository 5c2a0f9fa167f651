"""Checkpoints of the original layouts, of any size, made for tests.

Names and shapes are written down here from the layout itself, not through the code under test.
"""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file

Layout = dict[str, tuple[int, ...]]

#: Small enough to run in milliseconds, uneven enough to tell levels, blocks and depths apart.
SMALL = {
    "channels": (32, 64, 96),
    "res_blocks": (2, 1, 2),
    "depths": (0, 2, 1),
    "context": 48,
    "vae_channels": (32, 64, 64, 64),
    "vae_blocks": 1,
    "text_layers": 3,
}
#: Stable Diffusion 1.5 as released.
SD15 = {
    "channels": (320, 640, 1280, 1280),
    "res_blocks": (2, 2, 2, 2),
    "depths": (1, 1, 1, 0),
    "context": 768,
    "vae_channels": (128, 256, 512, 512),
    "vae_blocks": 2,
    "text_layers": 12,
}
#: Stable Diffusion 2 as released, 512-base and 768-v alike.
SD2 = {
    "unet": {
        "channels": (320, 640, 1280, 1280),
        "res_blocks": (2, 2, 2, 2),
        "depths": (1, 1, 1, 0),
        "context": 1024,
        "linear": True,
    },
    "vae": {"channels": (128, 256, 512, 512), "blocks": 2},
    "open_clip": {"width": 1024, "layers": 24, "projection": 1024},
}
SDXL = {
    "unet": {
        "channels": (320, 640, 1280),
        "res_blocks": (2, 2, 2),
        "depths": (0, 2, 10),
        "context": 2048,
        "linear": True,
        "vector": 2816,
    },
    "vae": {"channels": (128, 256, 512, 512), "blocks": 2},
    "clip": {"width": 768, "layers": 12},
    "open_clip": {"width": 1280, "layers": 32, "projection": 1280},
}
#: Segmind's: SDXL without the middle's attention and some transformer blocks (spec 1.4).
SSD_1B = {
    **SDXL,
    "unet": {
        **SDXL["unet"],
        "depths": (0, 2, 4),
        "up_depths": ((0, 0, 0), (2, 1, 1), (4, 4, 10)),
        "middle": 0,
    },
}
REFINER = {
    "unet": {
        "channels": (384, 768, 1536, 1536),
        "res_blocks": (2, 2, 2, 2),
        "depths": (0, 4, 4, 0),
        "middle": 4,
        "context": 1280,
        "linear": True,
        "vector": 2560,
    },
    "vae": {"channels": (128, 256, 512, 512), "blocks": 2},
    "open_clip": {"width": 1280, "layers": 32, "projection": 1280},
}
#: The same, shrunken. The projection is not square, so that a transposed one is noticed.
SMALL_SD2 = {
    "unet": {
        "channels": (64, 128),
        "res_blocks": (1, 1),
        "depths": (1, 0),
        "context": 128,
        "linear": True,
    },
    "vae": {"channels": (32, 32, 32, 32), "blocks": 1},
    "open_clip": {"width": 128, "layers": 3, "projection": 96},
}
SMALL_SDXL = {
    "unet": {
        "channels": (64, 128),
        "res_blocks": (1, 1),
        "depths": (0, 2),
        "context": 192,
        "linear": True,
        "vector": 96 + 6 * 256,
    },
    "vae": {"channels": (32, 32, 32, 32), "blocks": 1},
    "clip": {"width": 64, "layers": 4},
    "open_clip": {"width": 128, "layers": 3, "projection": 96},
}
SMALL_SSD_1B = {
    **SMALL_SDXL,
    "unet": {**SMALL_SDXL["unet"], "up_depths": ((0, 0), (1, 3)), "middle": 0},
}
SMALL_REFINER = {
    "unet": {
        "channels": (64, 64, 128),
        "res_blocks": (1, 1, 1),
        "depths": (0, 2, 0),
        "middle": 2,
        "context": 128,
        "linear": True,
        "vector": 96 + 5 * 256,
    },
    "vae": {"channels": (32, 32, 32, 32), "blocks": 1},
    "open_clip": {"width": 128, "layers": 3, "projection": 96},
}


def sd1_layout(
    channels: Sequence[int],
    res_blocks: Sequence[int],
    depths: Sequence[int],
    context: int,
    vae_channels: Sequence[int],
    vae_blocks: int,
    text_layers: int,
    in_channels: int = 4,
    linear_projection: bool = False,
) -> Layout:
    """Every tensor of a checkpoint with its shape."""
    unet = unet_layout(channels, res_blocks, depths, context, in_channels, linear_projection)
    return {
        **under("model.diffusion_model", unet),
        **under("first_stage_model", vae_layout(vae_channels, vae_blocks)),
        **under("cond_stage_model.transformer.text_model", text_layout(context, text_layers)),
    }


def sd2_layout(unet: dict, vae: dict, open_clip: dict) -> Layout:
    return {
        **under("model.diffusion_model", unet_layout(**unet)),
        **under("first_stage_model", vae_layout(**vae)),
        **under("cond_stage_model.model", open_clip_layout(**open_clip)),
    }


def sdxl_layout(unet: dict, vae: dict, clip: dict, open_clip: dict) -> Layout:
    embedders = "conditioner.embedders"
    return {
        **under("model.diffusion_model", unet_layout(**unet)),
        **under("first_stage_model", vae_layout(**vae)),
        **under(f"{embedders}.0.transformer.text_model", text_layout(**clip)),
        **under(f"{embedders}.1.model", open_clip_layout(**open_clip)),
    }


def refiner_layout(unet: dict, vae: dict, open_clip: dict) -> Layout:
    return {
        **under("model.diffusion_model", unet_layout(**unet)),
        **under("first_stage_model", vae_layout(**vae)),
        **under("conditioner.embedders.0.model", open_clip_layout(**open_clip)),
    }


def unet_layout(
    channels: Sequence[int],
    res_blocks: Sequence[int],
    depths: Sequence[int],
    context: int,
    in_channels: int = 4,
    linear: bool = False,
    vector: int | None = None,
    middle: int | None = None,
    up_depths: Sequence[Sequence[int]] | None = None,
) -> Layout:
    """`middle` is the depth there, the last level's unless said; 0 leaves all but one block out.

    `up_depths` has the depths of each level's blocks on the way up, where they are others.
    """
    time, width = 4 * channels[0], channels[0]
    layout = {
        **dense("time_embed.0", channels[0], time),
        **dense("time_embed.2", time, time),
        **conv("input_blocks.0.0", in_channels, width),
        **norm("out.0", width),
        **conv("out.2", width, 4),
    }
    if vector is not None:
        layout |= dense("label_emb.0.0", vector, time) | dense("label_emb.0.2", time, time)
    skips, index = [width], 1
    for level, out in enumerate(channels):
        for _ in range(res_blocks[level]):
            layout |= _res_block(f"input_blocks.{index}.0", width, out, time)
            layout |= _transformer(f"input_blocks.{index}.1", out, depths[level], context, linear)
            width, index = out, index + 1
            skips.append(width)
        if level < len(channels) - 1:
            layout |= conv(f"input_blocks.{index}.0.op", width, width)
            index += 1
            skips.append(width)
    layout |= _res_block("middle_block.0", width, width, time)
    if middle != 0:
        layout |= _transformer("middle_block.1", width, middle or depths[-1] or 1, context, linear)
        layout |= _res_block("middle_block.2", width, width, time)
    index = 0
    for level, out in reversed(list(enumerate(channels))):
        for block in range(res_blocks[level] + 1):
            here = f"output_blocks.{index}"
            layout |= _res_block(f"{here}.0", width + skips.pop(), out, time)
            depth = up_depths[level][block] if up_depths else depths[level]
            layout |= _transformer(f"{here}.1", out, depth, context, linear)
            width, index = out, index + 1
            if level and block == res_blocks[level]:
                layout |= conv(f"{here}.{2 if depths[level] else 1}.conv", width, width)
    return layout


def vae_layout(channels: Sequence[int], blocks: int, latents: int = 4) -> Layout:
    first, last, levels = channels[0], channels[-1], len(channels)
    layout = {
        **conv("encoder.conv_in", 3, first),
        **norm("encoder.norm_out", last),
        **conv("encoder.conv_out", last, 2 * latents),
        **conv("quant_conv", 2 * latents, 2 * latents, 1),
        **conv("post_quant_conv", latents, latents, 1),
        **conv("decoder.conv_in", latents, last),
        **norm("decoder.norm_out", first),
        **conv("decoder.conv_out", first, 3),
    }
    for half in ("encoder", "decoder"):
        layout |= _vae_block(f"{half}.mid.block_1", last, last)
        layout |= _vae_block(f"{half}.mid.block_2", last, last)
        layout |= norm(f"{half}.mid.attn_1.norm", last)
        for part in ("q", "k", "v", "proj_out"):
            layout |= conv(f"{half}.mid.attn_1.{part}", last, last, 1)
    width = first
    for level, out in enumerate(channels):
        for block in range(blocks):
            layout |= _vae_block(f"encoder.down.{level}.block.{block}", width, out)
            width = out
        if level < levels - 1:
            layout |= conv(f"encoder.down.{level}.downsample.conv", width, width)
    for level, out in reversed(list(enumerate(channels))):
        for block in range(blocks + 1):
            layout |= _vae_block(f"decoder.up.{level}.block.{block}", width, out)
            width = out
        if level:
            layout |= conv(f"decoder.up.{level}.upsample.conv", width, width)
    return layout


def text_layout(width: int, layers: int, vocabulary: int = 49408) -> Layout:
    layout: Layout = {
        "embeddings.token_embedding.weight": (vocabulary, width),
        "embeddings.position_embedding.weight": (77, width),
        "embeddings.position_ids": (1, 77),
        **norm("final_layer_norm", width),
    }
    for layer in range(layers):
        here = f"encoder.layers.{layer}"
        layout |= norm(f"{here}.layer_norm1", width) | norm(f"{here}.layer_norm2", width)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            layout |= dense(f"{here}.self_attn.{part}", width, width)
        layout |= dense(f"{here}.mlp.fc1", width, 4 * width)
        layout |= dense(f"{here}.mlp.fc2", 4 * width, width)
    return layout


def open_clip_layout(width: int, layers: int, projection: int, vocabulary: int = 49408) -> Layout:
    layout: Layout = {
        "token_embedding.weight": (vocabulary, width),
        "positional_embedding": (77, width),
        "text_projection": (width, projection),
        "logit_scale": (),
        **norm("ln_final", width),
    }
    for layer in range(layers):
        here = f"transformer.resblocks.{layer}"
        layout |= norm(f"{here}.ln_1", width) | norm(f"{here}.ln_2", width)
        layout |= {
            f"{here}.attn.in_proj_weight": (3 * width, width),
            f"{here}.attn.in_proj_bias": (3 * width,),
        }
        layout |= dense(f"{here}.attn.out_proj", width, width)
        layout |= dense(f"{here}.mlp.c_fc", width, 4 * width)
        layout |= dense(f"{here}.mlp.c_proj", 4 * width, width)
    return layout


UNET = "model.diffusion_model"

#: How much louder than its input a layer's answer is; 1 for all others.
_GAINS = {
    # Beside the noise that it finds (`_find_noise`): enough for a prompt to be seen.
    f"{UNET}.out.2.weight": 0.1,
    # The decoder's own layers would hardly add to latents as loud as a small factor makes them.
    "post_quant_conv.weight": 0.2,
    # Latents that are loud enough to be seen in what is drawn over them.
    "encoder.conv_out.weight": 4.0,
    # The decoder's answer, about -1 to 1.
    "decoder.conv_out.weight": 1.2,
}


def random_tensors(layout: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Values with which networks stay finite and heed all they are told; and their pictures run
    from black to white, so that a test of pictures sees what happened to any part of them.

    Layers hand on what they are given about as loud as it was, by the width of their input, and
    norms are about 1. A UNet finds most of the noise it is given: what another one leaves is so
    loud that nothing else is seen in the picture, the second pass of hires fix least of all.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _drawn(name, shape, generator) for name, shape in layout.items()}
    if f"{UNET}.out.2.weight" in tensors:
        _find_noise(tensors)
    for name in ("quant_conv.weight", "first_stage_model.quant_conv.weight"):
        if name in tensors:
            # The logarithm of how sure an encoder is: its exponential would blow up what rounds.
            tensors[name][len(tensors[name]) // 2 :] *= 0.1
    return tensors


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if name.endswith("position_ids"):
        return torch.arange(shape[1]).expand(shape).clone()
    mean, spread = distribution(name, shape)
    return torch.randn(shape, generator=generator) * spread + mean


def distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation of a tensor's values in `random_tensors`."""
    if name.endswith("token_embedding.weight"):
        return 0.0, 1.0
    if name.endswith("proj"):  # CLIP's, by which its answer is multiplied from the left
        return 0.0, shape[0] ** -0.5
    if not name.endswith("weight"):
        return 0.0, 0.1
    if len(shape) == 1:  # a norm's
        return 1.0, 0.1
    gain = next((gain for end, gain in _GAINS.items() if name.endswith(end)), 1.0)
    return 0.0, gain * prod(shape[1:]) ** -0.5


def _find_noise(tensors: dict[str, torch.Tensor]) -> None:
    """Have a UNet answer with its latent, besides what its random weights say.

    The latent goes by the outermost skip connection, past all blocks. Each of its channels has two
    of the network's, one the negative of the other: silu(x) - silu(-x) is x.
    """
    width = len(tensors[f"{UNET}.input_blocks.0.0.weight"])
    skips = (name for name in tensors if name.startswith(f"{UNET}.output_blocks."))
    last = [name for name in skips if name.endswith("skip_connection.weight")][-1]
    middle = (1, 1)
    for channel in range(4):
        for own, sign in ((2 * channel, 1.0), (2 * channel + 1, -1.0)):
            for name, row, column, value in (
                (f"{UNET}.input_blocks.0.0.weight", own, channel, sign),
                # Louder than what the last block adds to it; a norm follows.
                (last, own, tensors[last].shape[1] - width + own, 10.0),
            ):
                tensors[name][row] = 0.0
                tensors[name][(row, column, *middle[: tensors[name].shape[-1] - 1])] = value
            tensors[f"{UNET}.out.2.weight"][:, own] = 0.0
            tensors[f"{UNET}.out.2.weight"][(channel, own, *middle)] = sign


def write_small(path: Path, **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """`write` for a small SD1 checkpoint."""
    return write(path, sd1_layout(**SMALL), **changes)


def write(path: Path, layout: Layout, **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Write a random checkpoint; `changes` replace tensors by name, or drop them (None)."""
    tensors = random_tensors(layout)
    for name, tensor in changes.items():
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    save_file(tensors, path)
    return tensors


def under(prefix: str, layout: Layout) -> Layout:
    return {f"{prefix}.{name}": shape for name, shape in layout.items()}


def dense(name: str, inputs: int, outputs: int) -> Layout:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Layout:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Layout:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _res_block(name: str, inputs: int, outputs: int, time: int) -> Layout:
    layout = {
        **norm(f"{name}.in_layers.0", inputs),
        **conv(f"{name}.in_layers.2", inputs, outputs),
        **dense(f"{name}.emb_layers.1", time, outputs),
        **norm(f"{name}.out_layers.0", outputs),
        **conv(f"{name}.out_layers.3", outputs, outputs),
    }
    if inputs != outputs:
        layout |= conv(f"{name}.skip_connection", inputs, outputs, 1)
    return layout


def _transformer(name: str, width: int, depth: int, context: int, linear: bool) -> Layout:
    if not depth:
        return {}
    layout = norm(f"{name}.norm", width)
    for part in ("proj_in", "proj_out"):
        one = dense if linear else lambda n, i, o: conv(n, i, o, 1)
        layout |= one(f"{name}.{part}", width, width)
    for block in range(depth):
        here = f"{name}.transformer_blocks.{block}"
        for each in ("norm1", "norm2", "norm3"):
            layout |= norm(f"{here}.{each}", width)
        for attention, keys in (("attn1", width), ("attn2", context)):
            layout[f"{here}.{attention}.to_q.weight"] = (width, width)
            layout[f"{here}.{attention}.to_k.weight"] = (width, keys)
            layout[f"{here}.{attention}.to_v.weight"] = (width, keys)
            layout |= dense(f"{here}.{attention}.to_out.0", width, width)
        layout |= dense(f"{here}.ff.net.0.proj", width, 8 * width)
        layout |= dense(f"{here}.ff.net.2", 4 * width, width)
    return layout


def _vae_block(name: str, inputs: int, outputs: int) -> Layout:
    layout = {
        **norm(f"{name}.norm1", inputs),
        **conv(f"{name}.conv1", inputs, outputs),
        **norm(f"{name}.norm2", outputs),
        **conv(f"{name}.conv2", outputs, outputs),
    }
    if inputs != outputs:
        layout |= conv(f"{name}.nin_shortcut", inputs, outputs, 1)
    return layout
