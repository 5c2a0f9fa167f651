"""SD2 checkpoints that look at pictures: unCLIP's image encoder, the depth model's estimator.

As `layouts`: names and shapes from the layout itself, not through the code under test.
"""

from collections.abc import Sequence

from tests.adapters.gpu.torch_backend.layouts import (
    SD2,
    SMALL_SD2,
    Layout,
    conv,
    dense,
    norm,
    open_clip_layout,
    sd2_layout,
    under,
)

#: CLIP's image encoders as released: OpenCLIP's ViT-H/14 and OpenAI's ViT-L/14.
VIT_H = {"width": 1280, "layers": 32, "projection": 1024}
VIT_L = {"width": 1024, "layers": 24, "projection": 768}
SMALL_VIT = {"width": 80, "layers": 2, "projection": 24, "patches": 9}

#: MiDaS' dpt_hybrid as released.
DPT = {
    "stem": 64,
    "stages": (256, 512, 1024),
    "stage_blocks": (3, 4, 9),
    "width": 768,
    "layers": 12,
    "grid": 24,
    "fusion": 256,
}
SMALL_DPT = {
    "stem": 32,
    "stages": (128, 128, 256),
    "stage_blocks": (1, 2, 1),
    "width": 64,
    "layers": 4,
    "grid": 4,
    "fusion": 32,
}


def unclip_layout(sd2: dict, vit: dict, text_width: int, *, whole: bool) -> Layout:
    """`text_width` 1024 makes it unCLIP-H, 768 unCLIP-L; `whole`: with CLIP's text model, too."""
    unet = {**sd2["unet"], "vector": 2 * vit["projection"]}
    text = open_clip_layout(text_width, 12 if whole else 0, vit["projection"], vocabulary=16)
    return {
        **sd2_layout(**{**sd2, "unet": unet}),
        **under("embedder.model.visual", vit_layout(**vit)),
        **under("embedder.model", text),
        "noise_augmentor.betas": (1000,),
        "noise_augmentor.sqrt_alphas_cumprod": (1000,),
    }


def unclip_h_layout() -> Layout:
    return unclip_layout(SD2, VIT_H, 1024, whole=False)


def unclip_l_layout() -> Layout:
    return unclip_layout(SD2, VIT_L, 768, whole=True)


def depth_layout(sd2: dict = SD2, dpt: dict = DPT) -> Layout:
    unet = {**sd2["unet"], "in_channels": 5}
    return {
        **sd2_layout(**{**sd2, "unet": unet}),
        **under("depth_model.model", dpt_layout(**dpt)),
    }


def vit_layout(width: int, layers: int, projection: int, patches: int = 256) -> Layout:
    layout: Layout = {
        "class_embedding": (width,),
        "positional_embedding": (patches + 1, width),
        "proj": (width, projection),
        "conv1.weight": (width, 3, 14, 14),
        **norm("ln_pre", width),
        **norm("ln_post", width),
    }
    for layer in range(layers):
        here = f"transformer.resblocks.{layer}"
        layout |= norm(f"{here}.ln_1", width) | norm(f"{here}.ln_2", width)
        layout[f"{here}.attn.in_proj_weight"] = (3 * width, width)
        layout[f"{here}.attn.in_proj_bias"] = (3 * width,)
        layout |= dense(f"{here}.attn.out_proj", width, width)
        layout |= dense(f"{here}.mlp.c_fc", width, 4 * width)
        layout |= dense(f"{here}.mlp.c_proj", 4 * width, width)
    return layout


def dpt_layout(
    stem: int,
    stages: Sequence[int],
    stage_blocks: Sequence[int],
    width: int,
    layers: int,
    grid: int,
    fusion: int,
) -> Layout:
    backbone = "pretrained.model.patch_embed.backbone"
    layout: Layout = {
        "pretrained.model.cls_token": (1, 1, width),
        "pretrained.model.pos_embed": (1, grid * grid + 1, width),
        f"{backbone}.stem.conv.weight": (stem, 3, 7, 7),
        **norm(f"{backbone}.stem.norm", stem),
        **conv("pretrained.model.patch_embed.proj", stages[-1], width, 1),
        **norm("pretrained.model.norm", width),
        **dense("pretrained.model.head", width, 1000),
        **dense("pretrained.act_postprocess3.0.project.0", 2 * width, width),
        **conv("pretrained.act_postprocess3.3", width, width, 1),
        **dense("pretrained.act_postprocess4.0.project.0", 2 * width, width),
        **conv("pretrained.act_postprocess4.3", width, width, 1),
        **conv("pretrained.act_postprocess4.4", width, width, 3),
        **conv("scratch.output_conv.0", fusion, fusion // 2),
        **conv("scratch.output_conv.2", fusion // 2, 32),
        **conv("scratch.output_conv.4", 32, 1, 1),
    }
    inputs = stem
    for stage, (out, blocks) in enumerate(zip(stages, stage_blocks, strict=True)):
        for block in range(blocks):
            here, inner = f"{backbone}.stages.{stage}.blocks.{block}", out // 4
            layout[f"{here}.conv1.weight"] = (inner, inputs, 1, 1)
            layout[f"{here}.conv2.weight"] = (inner, inner, 3, 3)
            layout[f"{here}.conv3.weight"] = (out, inner, 1, 1)
            layout |= norm(f"{here}.norm1", inner) | norm(f"{here}.norm2", inner)
            layout |= norm(f"{here}.norm3", out)
            if not block:
                layout[f"{here}.downsample.conv.weight"] = (out, inputs, 1, 1)
                layout |= norm(f"{here}.downsample.norm", out)
            inputs = out
    for layer in range(layers):
        here = f"pretrained.model.blocks.{layer}"
        layout |= norm(f"{here}.norm1", width) | norm(f"{here}.norm2", width)
        layout |= dense(f"{here}.attn.qkv", width, 3 * width)
        layout |= dense(f"{here}.attn.proj", width, width)
        layout |= dense(f"{here}.mlp.fc1", width, 4 * width)
        layout |= dense(f"{here}.mlp.fc2", 4 * width, width)
    for level, channels in enumerate((stages[0], stages[1], width, width), start=1):
        layout[f"scratch.layer{level}_rn.weight"] = (fusion, channels, 3, 3)
        layout |= conv(f"scratch.refinenet{level}.out_conv", fusion, fusion, 1)
        for unit in (1, 2):
            for number in (1, 2):
                name = f"scratch.refinenet{level}.resConfUnit{unit}.conv{number}"
                layout |= conv(name, fusion, fusion)
    return layout


#: The same, shrunken.
SMALL_UNCLIP_H = unclip_layout(SMALL_SD2, SMALL_VIT, 1024, whole=False)
SMALL_UNCLIP_L = unclip_layout(SMALL_SD2, SMALL_VIT, 768, whole=False)
SMALL_DEPTH = depth_layout(SMALL_SD2, SMALL_DPT)
