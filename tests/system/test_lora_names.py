"""Pictures of the starter with a LoRA by each trainer's names.

The right picture is that of the same LoRA by kohya's names with the original path.
"""

import json

import pytest

torch = pytest.importorskip("torch")

from msgspec.structs import replace  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from hexfusion.adapters.storage.starter import install_starter  # noqa: E402
from hexfusion.bootstrap import build  # noqa: E402
from hexfusion.domain.generation import Txt2Img  # noqa: E402
from tests.sight import assert_differ, assert_wide, furthest  # noqa: E402

pytestmark = pytest.mark.torch

#: Original paths of the starter's layers with diffusers' paths: one residual block a level.
LAYERS = {
    f"{original}.1.transformer_blocks.0.{layer}": f"{ours}.transformer_blocks.0.{layer}"
    for original, ours in {
        "output_blocks.2": "up_blocks.1.attentions.0",
        "output_blocks.3": "up_blocks.1.attentions.1",
        "output_blocks.4": "up_blocks.2.attentions.0",
        "output_blocks.5": "up_blocks.2.attentions.1",
    }.items()
    for layer in ("attn1.to_v", "attn2.to_v", "attn2.to_out.0")
}
#: Formats of a key by the original path `o`, diffusers' `d`, and `s` for down and up or A and B.
NAMES = {
    "procs": "{attention}.processor.{projection}_lora.{s}.weight",
    "diffusers": "unet.{d}.lora.{s}.weight",
    "default0": "base_model.model.unet.{d}.lora_{S}.default_0.weight",
    "dotted": "{d}.lora_{S}.my.adapter.weight",
    "comfy": "diffusion_model.{o}.lora_{s}.weight",
}
PLAIN = Txt2Img(prompt="a red house", steps=4, width=64, height=64, sampler_name="Euler a", seed=7)


def key(form, original, ours, index):
    attention, _, projection = ours.removesuffix(".0").rpartition(".")
    return form.format(
        o=original,
        d=ours,
        attention=attention,
        projection=projection,
        s=("down", "up")[index],
        S="AB"[index],
    )


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    for name in ("models/Stable-diffusion", "models/Lora"):
        (data / name).mkdir(parents=True)
    weights = load_file(install_starter([data / "models/Stable-diffusion"]))
    generator = torch.Generator().manual_seed(1)
    original, files = {}, {name: {} for name in NAMES}
    for path, ours in LAYERS.items():
        rows, columns = weights[f"model.diffusion_model.{path}.weight"].shape
        pair = (
            torch.randn(2, columns, generator=generator),
            torch.randn(rows, 2, generator=generator),
        )
        for index, tensor in enumerate(pair):
            side = ("down", "up")[index]
            original[f"lora_unet_{path.replace('.', '_')}.lora_{side}.weight"] = tensor * 0.3
            for name, form in NAMES.items():
                files[name][key(form, path, ours, index)] = tensor * 0.3
    files["original"] = original
    half = {f"unet.mid_block.attentions.7.lora_{s}.weight": torch.ones(2, 2) for s in "AB"}
    files["partly"] = {**original, **half}
    for name, tensors in files.items():
        save_file(tensors, data / f"models/Lora/{name}.safetensors")
    argv = ["--data-dir", str(data), "--threads", "1", "--no-half", "--no-download-sd-model"]
    return build(argv)


def made(studio, name):
    made = studio.txt2img(replace(PLAIN, prompt=f"a red house <lora:{name}:1>"))
    return made.pictures[0].image, made.info.comments


@pytest.fixture(scope="module")
def right(studio):
    """The picture of the LoRA by original paths; wide, and unlike one without a LoRA."""
    (plain,) = studio.txt2img(PLAIN).pictures
    picture, comments = made(studio, "original")
    assert_wide(picture)
    assert_differ(plain.image, picture)
    assert not comments
    return picture


@pytest.mark.parametrize("name", NAMES)
def test_each_naming_makes_the_picture_of_the_original_names(studio, right, name):
    picture, comments = made(studio, name)
    assert furthest(picture, right) == 0
    assert not comments


def test_a_lora_of_which_a_part_fits_draws_and_says_so(studio, right):
    picture, comments = made(studio, "partly")
    assert furthest(picture, right) == 0
    (comment,) = comments
    assert comment.startswith("Lora partly: 1 of 13 layers have no place in hexfusion-starter")
    assert "unet.mid_block.attentions.7" in json.dumps(comments)
