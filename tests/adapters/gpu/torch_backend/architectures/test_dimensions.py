"""Spec networks.md 1.4: families and dimensions from names and shapes."""

import pytest

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Shapes,
    TextArchitecture,
    UNetArchitecture,
    VaeArchitecture,
)
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.families.registry import FAMILIES, recognise
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.layouts import (
    REFINER,
    SD2,
    SD15,
    SDXL,
    SMALL,
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    SSD_1B,
    refiner_layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
)

pytestmark = pytest.mark.torch

FIRST = "model.diffusion_model.input_blocks.0.0.weight"
MIDDLE = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
XL_NORM = "conditioner.embedders.1.model.ln_final.weight"
SD2_TEXT = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"


def inferred(layout, config=None):
    return infer_architecture(Shapes("m.safetensors", layout), config or OriginalConfig())


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        ({"model.diffusion_model.x_embedder.proj.weight": (1536, 16, 2, 2)}, "SD3"),
        ({XL_NORM: (1280,), FIRST: (320, 4, 3, 3), MIDDLE: (1280, 1280)}, "SDXL"),
        ({XL_NORM: (1280,), FIRST: (320, 4, 3, 3)}, "SSD-1B"),
        ({XL_NORM: (1280,), FIRST: (320, 9, 3, 3)}, "SDXL inpainting"),
        (
            {"conditioner.embedders.0.model.ln_final.weight": (1280,), FIRST: (384, 4, 3, 3)},
            "SDXL refiner",
        ),
        (
            {"depth_model.model.pretrained.act_postprocess3.0.project.0.bias": (1,)},
            "SD2 depth",
        ),
        ({"embedder.model.ln_final.weight": (768,), SD2_TEXT: (3072, 1024)}, "SD2 unCLIP-L"),
        ({"embedder.model.ln_final.weight": (1024,), SD2_TEXT: (3072, 1024)}, "SD2 unCLIP-H"),
        ({SD2_TEXT: (3072, 1024), FIRST: (320, 9, 3, 3)}, "SD2 inpainting"),
        ({SD2_TEXT: (3072, 1024), FIRST: (320, 4, 3, 3)}, "SD2"),
        (
            {
                "cond_stage_model.roberta.embeddings.word_embeddings.weight": (250002, 1024),
                FIRST: (320, 4, 3, 3),
            },
            "Alt-Diffusion",
        ),
        ({FIRST: (320, 9, 3, 3)}, "SD1 inpainting"),
        ({FIRST: (320, 8, 3, 3)}, "SD1 instruct-pix2pix"),
        ({FIRST: (320, 4, 3, 3)}, "SD1"),
    ],
)
def test_families(shapes, family):
    assert recognise(Shapes("m.safetensors", shapes)).name == family


def test_every_family_is_tried_above():
    tried = {case[1] for case in test_families.pytestmark[0].args[1]}
    assert tried == {family.name for family in FAMILIES}


@pytest.mark.parametrize("shapes", [{}, {"foo": (1,)}, {FIRST: ()}, {FIRST: (320, 5, 3, 3)}])
def test_anything_else_is_refused(shapes):
    with pytest.raises(CheckpointError, match=r"m\.safetensors.*not a Stable Diffusion checkpoint"):
        inferred(shapes)


def test_a_family_that_cannot_run_yet_is_named():
    with pytest.raises(CheckpointError, match="is of the SD3 family, which is not supported"):
        inferred({"model.diffusion_model.x_embedder.proj.weight": (1536, 16, 2, 2)})


def test_stable_diffusion_15():
    """Its published dimensions, and the conventions that shapes cannot tell."""
    found = inferred(sd1_layout(**SD15))
    assert found.family.name == "SD1"
    assert found.unet == UNetArchitecture(
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
    assert found.vae == VaeArchitecture((128, 256, 512, 512), 2, 4)
    prefix = "cond_stage_model.transformer.text_model."
    assert found.texts == (TextArchitecture(prefix, 49408, 77, 768, 12, 12, 3072, "quick_gelu"),)
    assert (found.prediction, found.scale_factor) == ("epsilon", 0.18215)


def test_stable_diffusion_2():
    """Spec networks.md 1.4 and prompts.md 5.6; heads are 64 wide, and only weights tell v."""
    found = inferred(sd2_layout(**SD2))
    assert found.family.name == "SD2"
    assert found.unet.heads == (5, 10, 20, 20)
    assert (found.unet.linear_projection, found.unet.vector_width) == (True, None)
    assert found.vae == VaeArchitecture((128, 256, 512, 512), 2, 4)
    open_clip = TextArchitecture(
        "cond_stage_model.model.", 49408, 77, 1024, 24, 16, 4096, "gelu", open_clip=True
    )
    assert found.texts == (open_clip,)
    assert (found.prediction, found.scale_factor) == (None, 0.18215)


def test_stable_diffusion_xl():
    """Spec prompts.md 5.6, sampling.md 8."""
    found = inferred(sdxl_layout(**SDXL))
    assert found.family.name == "SDXL"
    assert found.unet.heads == (5, 10, 20)
    assert found.unet.depths == ((0, 0), (2, 2), (10, 10))
    assert found.unet.middle_depth == 10
    assert (found.unet.context_width, found.unet.vector_width) == (2048, 2816)
    clip, open_clip = found.texts
    assert (clip.width, clip.layers, clip.heads) == (768, 12, 12)
    assert (clip.activation, clip.open_clip, clip.final_norm) == ("quick_gelu", False, False)
    assert (open_clip.width, open_clip.layers, open_clip.heads) == (1280, 32, 20)
    assert (open_clip.activation, open_clip.open_clip, open_clip.final_norm) == (
        "gelu", True, False,
    )  # fmt: skip
    assert (clip.projection, open_clip.projection) == (None, 1280)
    assert (found.prediction, found.scale_factor) == ("epsilon", 0.13025)


def test_segmind_stable_diffusion_1b():
    """Spec networks.md 1.4: what is left of SDXL, block by block."""
    found = inferred(sdxl_layout(**SSD_1B))
    assert found.family.name == "SSD-1B"
    assert found.unet.depths == ((0, 0), (2, 2), (4, 4))
    assert found.unet.up_depths == ((0, 0, 0), (2, 1, 1), (4, 4, 10))
    assert found.unet.middle_depth == 0
    assert (found.unet.context_width, found.unet.vector_width) == (2048, 2816)
    assert (found.prediction, found.scale_factor, found.numbers) == ("epsilon", 0.13025, 6)


@pytest.mark.parametrize("side", ["input_blocks.5", "output_blocks.1"])
def test_a_level_pays_attention_in_all_its_blocks_or_in_none(side):
    layout = sdxl_layout(**SSD_1B)
    gone = f"model.diffusion_model.{side}.1."
    with pytest.raises(CheckpointError, match="differs from its"):
        inferred({name: shape for name, shape in layout.items() if not name.startswith(gone)})


def test_the_refiner_of_xl():
    found = inferred(refiner_layout(**REFINER))
    assert found.family.name == "SDXL refiner"
    assert found.unet.heads == (6, 12, 24, 24)
    assert found.unet.depths == ((0, 0), (4, 4), (4, 4), (0, 0))
    assert found.unet.middle_depth == 4
    assert (found.unet.context_width, found.unet.vector_width) == (1280, 2560)
    assert [text.prefix for text in found.texts] == ["conditioner.embedders.0.model."]
    assert (found.prediction, found.scale_factor) == ("epsilon", 0.13025)


@pytest.mark.parametrize(
    ("layout", "sizes", "change", "message"),
    [
        (sd2_layout, SMALL_SD2, {"context": 64}, "texts 64 wide, but its encoders give 128"),
        (sdxl_layout, SMALL_SDXL, {"context": 128}, "texts 128 wide, but its encoders give 192"),
        (sdxl_layout, SMALL_SDXL, {"vector": 1376}, "vectors of 1376 elements, expected 1632"),
        (sdxl_layout, SMALL_SDXL, {"vector": None}, "vectors of None elements, expected 1632"),
        (refiner_layout, SMALL_REFINER, {"vector": 99}, "vectors of 99 elements, expected 1376"),
        (sd2_layout, SMALL_SD2, {"vector": 99}, "image encoder of this unCLIP is not in"),
    ],
)
def test_texts_that_do_not_fit_the_unet_are_refused(layout, sizes, change, message):
    with pytest.raises(CheckpointError, match=message):
        inferred(layout(**{**sizes, "unet": {**sizes["unet"], **change}}))


@pytest.mark.parametrize(
    ("channels", "family"), [(9, "SD1 inpainting"), (8, "SD1 instruct-pix2pix")]
)
def test_more_input_channels(channels, family):
    found = inferred(sd1_layout(**SD15, in_channels=channels))
    assert (found.family.name, found.unet.in_channels) == (family, channels)


def test_uneven_levels():
    found = inferred(sd1_layout(**SMALL, linear_projection=True))
    assert found.unet.channels == (32, 64, 96)
    assert found.unet.res_blocks == (2, 1, 2)
    assert found.unet.depths == ((0, 0), (2,), (1, 1))
    assert found.unet.linear_projection
    assert found.vae == VaeArchitecture((32, 64, 64, 64), 1, 4)
    (text,) = found.texts
    assert (text.layers, text.heads) == (3, 1)  # narrower than one head of 64


def test_what_the_yaml_gives_wins():
    config = OriginalConfig(
        unet_heads=4, prediction="v", scale_factor=0.5, text_heads=2, text_activation="gelu"
    )
    found = inferred(sd1_layout(**SMALL), config)
    assert found.unet.heads == (4, 4, 4)
    assert (found.prediction, found.scale_factor) == ("v", 0.5)
    assert (found.texts[0].heads, found.texts[0].activation) == (2, "gelu")
    by_width = OriginalConfig(unet_heads=4, unet_head_width=16)
    assert inferred(sd1_layout(**SMALL), by_width).unet.heads == (2, 4, 6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (OriginalConfig(unet_heads=5), "32 channels for 5 attention heads"),
        (OriginalConfig(unet_head_width=64), "32 channels for 0 attention heads"),
        (OriginalConfig(text_heads=7), "48 wide for 7 attention heads"),
    ],
)
def test_head_counts_that_do_not_fit_are_refused(config, message):
    with pytest.raises(CheckpointError, match=message):
        inferred(sd1_layout(**SMALL), config)


def test_channels_that_cannot_be_normalised_are_refused():
    with pytest.raises(CheckpointError, match="40 channels"):
        inferred(sd1_layout(**{**SMALL, "channels": (40, 64, 96)}))


@pytest.mark.parametrize(
    "name",
    [
        "model.diffusion_model.input_blocks.1.0.out_layers.3.weight",
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "model.diffusion_model.out.2.weight",
        "model.diffusion_model.time_embed.0.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
    ],
)
def test_a_tensor_the_structure_needs_is_named(name):
    layout = sd1_layout(**SMALL)
    del layout[name]
    with pytest.raises(CheckpointError) as refused:
        inferred(layout)
    assert (refused.value.file, refused.value.tensor) == ("m.safetensors", name)


@pytest.mark.parametrize(
    "name",
    [
        "first_stage_model.encoder.down.0.block.0.conv1.weight",
        "first_stage_model.decoder.conv_in.weight",
    ],
)
def test_a_vae_of_which_a_part_is_missing_is_none(name):
    """Then another file's is used, or jobs are refused (test_without_vae)."""
    layout = sd1_layout(**SMALL)
    assert inferred(layout).vae is not None
    del layout[name]
    assert inferred(layout).vae is None


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", (5,)),
        ("first_stage_model.decoder.conv_in.weight", (64, 4)),
        ("model.diffusion_model.time_embed.0.weight", ()),
        (FIRST, (64, 4, 3, 3)),
    ],
)
def test_a_misshapen_tensor_is_named(name, shape):
    with pytest.raises(CheckpointError) as refused:
        inferred({**sd1_layout(**SMALL), name: shape})
    assert refused.value.tensor == name
