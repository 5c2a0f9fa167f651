"""LoRAs by every name that trainers give layers: each goes to the layer that it names.

Spec networks.md 2.2. A1111 reads kohya's names alone, and takes two residual blocks a level for
granted; that is so here, too. All other names mean what they mean where the file was trained. The
right weights are those of the same LoRA by its original path, which needs no counting of blocks.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.extra_networks.layer_names import layers_of
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.storage.starter import install_starter
from hexfusion.domain.errors import CheckpointError, InvalidRequest
from hexfusion.domain.plan import LoraPlan, NetworksPlan
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL,
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    random_tensors,
    refiner_layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
)

pytestmark = pytest.mark.torch

Tensors = Mapping[str, Tensor]

TO_Q = "transformer_blocks.0.attn1.to_q"
TO_OUT = "transformer_blocks.0.attn2.to_out.0"


@dataclass(frozen=True)
class World:
    """A checkpoint, and some of its UNet's layers: diffusers' path by the original one.

    Written down by hand from the order in which blocks run.
    """

    write: Callable[[Path], object]
    unet: Mapping[str, str]
    text: str = "transformer_text_model"


def _random(layout: Mapping[str, tuple[int, ...]]) -> Callable[[Path], object]:
    return lambda path: save_file(random_tensors(layout), path)


def _starter(path: Path) -> None:
    path.parent.joinpath("empty").mkdir()
    found = install_starter([path.parent / "empty"])
    assert found is not None
    found.rename(path)


WORLDS = {
    "SD1 of two blocks": World(
        _random(sd1_layout(**{**SMALL, "res_blocks": (2, 2, 2)})),
        {
            f"input_blocks.4.1.{TO_Q}": f"down_blocks.1.attentions.0.{TO_Q}",
            f"input_blocks.8.1.{TO_OUT}": f"down_blocks.2.attentions.1.{TO_OUT}",
            f"middle_block.1.{TO_Q}": f"mid_block.attentions.0.{TO_Q}",
            f"output_blocks.2.1.{TO_Q}": f"up_blocks.0.attentions.2.{TO_Q}",
            f"output_blocks.3.1.{TO_OUT}": f"up_blocks.1.attentions.0.{TO_OUT}",
            "input_blocks.7.0.in_layers.2": "down_blocks.2.resnets.0.conv1",
            "input_blocks.6.0.op": "down_blocks.1.downsamplers.0.conv",
            "output_blocks.5.2.conv": "up_blocks.1.upsamplers.0.conv",
            "time_embed.2": "time_embedding.linear_2",
            "out.2": "conv_out",
        },
    ),
    "SD1 of uneven blocks": World(
        _random(sd1_layout(**SMALL)),
        {
            f"input_blocks.4.1.{TO_Q}": f"down_blocks.1.attentions.0.{TO_Q}",
            f"input_blocks.7.1.{TO_OUT}": f"down_blocks.2.attentions.1.{TO_OUT}",
            f"output_blocks.2.1.{TO_Q}": f"up_blocks.0.attentions.2.{TO_Q}",
            f"output_blocks.4.1.{TO_OUT}": f"up_blocks.1.attentions.1.{TO_OUT}",
            "input_blocks.5.0.op": "down_blocks.1.downsamplers.0.conv",
            "output_blocks.7.0.out_layers.3": "up_blocks.2.resnets.2.conv2",
            "output_blocks.4.2.conv": "up_blocks.1.upsamplers.0.conv",
        },
    ),
    "the starter": World(
        _starter,
        {
            f"input_blocks.3.1.{TO_Q}": f"down_blocks.1.attentions.0.{TO_Q}",
            f"input_blocks.5.1.{TO_OUT}": f"down_blocks.2.attentions.0.{TO_OUT}",
            f"middle_block.1.{TO_Q}": f"mid_block.attentions.0.{TO_Q}",
            f"output_blocks.2.1.{TO_Q}": f"up_blocks.1.attentions.0.{TO_Q}",
            f"output_blocks.3.1.{TO_OUT}": f"up_blocks.1.attentions.1.{TO_OUT}",
            f"output_blocks.4.1.{TO_Q}": f"up_blocks.2.attentions.0.{TO_Q}",
            "input_blocks.5.0.skip_connection": "down_blocks.2.resnets.0.conv_shortcut",
            "output_blocks.1.1.conv": "up_blocks.0.upsamplers.0.conv",
            "output_blocks.5.2.conv": "up_blocks.2.upsamplers.0.conv",
            "output_blocks.6.0.emb_layers.1": "up_blocks.3.resnets.0.time_emb_proj",
        },
    ),
    "SDXL": World(
        _random(sdxl_layout(**SMALL_SDXL)),
        {
            f"input_blocks.3.1.{TO_Q}": f"down_blocks.1.attentions.0.{TO_Q}",
            f"middle_block.1.{TO_OUT}": f"mid_block.attentions.0.{TO_OUT}",
            f"output_blocks.0.1.{TO_Q}": f"up_blocks.0.attentions.0.{TO_Q}",
            f"output_blocks.1.1.{TO_OUT}": f"up_blocks.0.attentions.1.{TO_OUT}",
            "output_blocks.1.2.conv": "up_blocks.0.upsamplers.0.conv",
            "label_emb.0.2": "add_embedding.linear_2",
        },
        "0_transformer_text_model",
    ),
}
TEXT = "text_model.encoder.layers.0.self_attn.v_proj"


def flat(path: str) -> str:
    return path.replace(".", "_")


def processor(path: str) -> str:
    """`save_attn_procs`: the projection's name goes to the end of its attention's processor."""
    attention, _, projection = path.removesuffix(".0").rpartition(".")
    return f"{attention}.processor.{projection}_lora"


@dataclass(frozen=True)
class Naming:
    """How a trainer calls a layer of the UNet, by original and by diffusers' path, and one of the
    first text encoder; the words for down and up stand where `{}` does. None: it has no names."""

    unet: Callable[[str, str], str]
    text: Callable[[str], str] | None
    words: tuple[str, str] = ("down", "up")


AB = ("A", "B")
NAMINGS = {
    "kohya by diffusers' blocks": Naming(
        lambda o, d: f"lora_unet_{flat(d)}.lora_{{}}.weight",
        lambda t: f"lora_te1_{flat(t)}.lora_{{}}.weight",
    ),
    "save_attn_procs": Naming(lambda o, d: f"{processor(d)}.{{}}.weight", None),
    "the same below unet": Naming(lambda o, d: f"unet.{processor(d)}.{{}}.weight", None),
    "diffusers": Naming(
        lambda o, d: f"unet.{d}.lora.{{}}.weight",
        lambda t: f"text_encoder.{t}.lora_linear_layer.{{}}.weight",
    ),
    "diffusers with PEFT": Naming(
        lambda o, d: f"unet.{d}.lora_{{}}.weight",
        lambda t: f"text_encoder.{t}.lora_{{}}.weight",
        AB,
    ),
    "PEFT": Naming(
        lambda o, d: f"base_model.model.{d}.lora_{{}}.weight",
        lambda t: f"base_model.model.{t}.lora_{{}}.weight",
        AB,
    ),
    "PEFT, a default": Naming(
        lambda o, d: f"base_model.model.unet.{d}.lora_{{}}.default_0.weight",
        lambda t: f"base_model.model.text_encoder.{t}.lora_{{}}.default_0.weight",
        AB,
    ),
    "PEFT, a name with dots": Naming(
        lambda o, d: f"unet.{d}.lora_{{}}.my.adapter.weight",
        lambda t: f"text_encoder.{t}.lora_{{}}.my.adapter.weight",
        AB,
    ),
    "PEFT below unet": Naming(
        lambda o, d: f"unet.base_model.model.{d}.lora_{{}}.weight",
        lambda t: f"text_encoder.base_model.model.{t}.lora_{{}}.weight",
        AB,
    ),
    "PEFT without any prefix": Naming(
        lambda o, d: f"{d}.lora_{{}}.weight", lambda t: f"{t}.lora_{{}}.weight", AB
    ),
    "below transformer": Naming(
        lambda o, d: f"transformer.{d}.lora_{{}}.default.weight",
        lambda t: f"transformer.{t}.lora_{{}}.default.weight",
        AB,
    ),
    "ComfyUI": Naming(
        lambda o, d: f"diffusion_model.{o}.lora_{{}}.weight",
        lambda t: f"text_encoders.clip_l.transformer.{t}.lora_{{}}.weight",
    ),
    "ComfyUI with PEFT": Naming(
        lambda o, d: f"diffusion_model.{o}.lora_{{}}.weight",
        lambda t: f"clip_l.transformer.{t}.lora_{{}}.weight",
        AB,
    ),
    "the checkpoint's own path": Naming(
        lambda o, d: f"model.diffusion_model.{o}.lora_{{}}.weight",
        lambda t: f"cond_stage_model.transformer.{t}.lora_{{}}.weight",
        AB,
    ),
    "diffusers' path below ComfyUI's root": Naming(
        lambda o, d: f"diffusion_model.{d}.lora_{{}}.weight", None, AB
    ),
}


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadedCheckpoint]:
    folder = tmp_path_factory.mktemp("models")

    @cache
    def load(world: str) -> LoadedCheckpoint:
        path = folder / f"{flat(world.replace(' ', '.'))}.safetensors"
        WORLDS[world].write(path)
        return load_checkpoint(path)

    return load


def original(world: World) -> dict[str, str]:
    """The names of the layers that LoRAs are for, by the original path or the text encoder's."""
    names = {path: f"diffusion_model_{flat(path)}" for path in world.unet}
    return {**names, TEXT: f"{world.text}_{flat(TEXT.removeprefix('text_model.'))}"}


def drawn(model: LoadedCheckpoint, names: Mapping[str, str]) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) of each layer, by its path; ranks 1, 2, 3 in turn, as rank patterns make them."""
    generator = torch.Generator().manual_seed(3)
    layers, found = layers_of(model), {}
    for index, (path, name) in enumerate(names.items()):
        shape, rank = layers[name].weight.shape, 1 + index % 3
        down = torch.randn((rank, *shape[1:]), generator=generator)
        up = torch.randn((shape[0], rank, *[1] * (len(shape) - 2)), generator=generator)
        found[path] = down, up
    return found


def additions(model: LoadedCheckpoint, path: Path, **plan: object):
    plans = NetworksPlan(loras=(LoraPlan(name="x", path=str(path), te=1.0, unet=1.0),), **plan)
    return NetworkStore().additions(plans, model)


def merged(model: LoadedCheckpoint, path: Path) -> dict[str, Tensor]:
    """The weights of all layers that the LoRA changes."""
    weights = additions(model, path).merged
    every = {name: (layer, weights.of(layer)[0]) for name, layer in layers_of(model).items()}
    return {name: made for name, (layer, made) in every.items() if made is not layer.weight}


def expected(model: LoadedCheckpoint, name: str, down: Tensor, up: Tensor, scale: float = 1.0):
    weight = layers_of(model)[name].weight
    return weight + scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)


def assert_same(made: Tensors, right: Tensors) -> None:
    assert set(made) == set(right)
    for name, weight in right.items():
        torch.testing.assert_close(made[name], weight, rtol=1e-5, atol=1e-5)


#: A1111 reads them, by formulas of two blocks a level, and its picture is the right one.
KOHYA, TWO_BLOCKS = "kohya by diffusers' blocks", "SD1 of two blocks"


CASES = [(w, n) for w in WORLDS for n in NAMINGS if n != KOHYA or w == TWO_BLOCKS]


@pytest.mark.parametrize(("world", "naming"), CASES)
def test_each_naming_on_each_checkpoint(model_of, tmp_path, world: str, naming: str):
    """The layers that the file names are changed, by what is in the file, and no others."""
    model, where, how = model_of(world), WORLDS[world], NAMINGS[naming]
    names, tensors, right = original(where), {}, {}
    for path, (down, up) in drawn(model, names).items():
        if path == TEXT:
            key = how.text and how.text(path)
        elif "processor" in how.unet("a.b", "a.b") and ".attn" not in path:
            key = None
        else:
            key = how.unet(path, where.unet[path])
        if key:
            for word, tensor in zip(how.words, (down, up), strict=True):
                tensors[key.format(word)] = tensor
            right[names[path]] = expected(model, names[path], down, up)
    save_file(tensors, tmp_path / "x.safetensors")
    assert len(right) > 2
    assert_same(merged(model, tmp_path / "x.safetensors"), right)
    assert additions(model, tmp_path / "x.safetensors").comments == ()


STARTER_TO_Q = f"output_blocks.2.1.{TO_Q}"


@pytest.fixture
def one(model_of, tmp_path):
    """Writes a LoRA of one layer of the starter: by its part of a key, down, up, and what else."""
    model = model_of("the starter")
    name = f"diffusion_model_{flat(STARTER_TO_Q)}"
    (down, up) = drawn(model, {STARTER_TO_Q: name})[STARTER_TO_Q]
    down = torch.cat([down, down + 1])  # of rank 2
    up = torch.cat([up, up - 1], 1)

    def write(file: str = "x.safetensors", metadata=None, **parts: Tensor) -> Path:
        start = "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
        tensors = {f"{start}.lora_A.weight": down, f"{start}.lora_B.weight": up}
        tensors |= {f"{start}.{part}": each for part, each in parts.items()}
        save_file(tensors, tmp_path / file, metadata)
        return tmp_path / file

    def right(scale: float) -> dict[str, Tensor]:
        return {name: expected(model, name, down, up, scale)}

    write.right = right
    write.name, write.down, write.up, write.model = name, down, up, model
    return write


@pytest.mark.parametrize("part", ["alpha", "lora.alpha"])
def test_an_alpha_scales_by_the_rank(one, part):
    path = one(**{part: torch.tensor(5.0)})
    assert_same(merged(one.model, path), one.right(2.5))


def test_without_an_alpha_the_scale_is_one(one):
    """Spec networks.md 2.4."""
    assert_same(merged(one.model, one()), one.right(1.0))


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"unet.lora_alpha": 8, "unet.r": 2}, 4.0),
        ({"unet.lora_alpha": 8, "text_encoder.lora_alpha": 2}, 4.0),
        ({"text_encoder.lora_alpha": 8}, 1.0),
        ({"unet.lora_alpha": 8, "unet.use_rslora": True}, 8 / math.sqrt(2)),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 3}}, 1.5),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn2.to_q": 3, "to_k": 1}}, 4.0),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"(a+)+$": 3}}, 4.0),
        ({"unet.lora_alpha": "8", "unet.rank_pattern": {}}, 1.0),
        ({"unet.lora_alpha": True}, 1.0),
        ([1], 1.0),
    ],
)
def test_diffusers_notes_peft_s_alpha_in_the_header(one, config, scale):
    path = one(metadata={"lora_adapter_metadata": json.dumps(config)})
    assert_same(merged(one.model, path), one.right(scale))


def test_an_alpha_in_the_file_counts_before_its_header(one):
    header = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8})}
    path = one(metadata=header, alpha=torch.tensor(1.0))
    assert_same(merged(one.model, path), one.right(0.5))


def test_peft_s_configuration_beside_its_file(one, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 6, "r": 2}))
    assert_same(merged(one.model, one("adapter_model.safetensors")), one.right(3.0))
    assert_same(merged(one.model, one("another.safetensors")), one.right(1.0))


@pytest.mark.parametrize("notes", ["{", "[" * 100_000, "\x00"])
def test_a_damaged_configuration_is_told_and_ignored(one, caplog, notes):
    with caplog.at_level(logging.WARNING):
        made = merged(one.model, one(metadata={"lora_adapter_metadata": notes}))
    assert_same(made, one.right(1.0))
    assert "configuration of PEFT cannot be read" in caplog.text


@pytest.mark.parametrize("end", ["", ".weight", ".default_0.weight", ".my.adapter"])
def test_dora_s_magnitudes_by_any_name(one, end):
    """Liu et al. 2024 (arXiv:2402.09353): each row of the sum gets the length that is in the file,
    as PEFT has them, one for each output channel."""
    magnitude = torch.linspace(0.5, 2.0, len(one.up))
    made = merged(one.model, one(**{f"lora_magnitude_vector{end}": magnitude}))
    moved = one.right(1.0)[one.name]
    right = moved / moved.norm(dim=1, keepdim=True) * magnitude[:, None]
    assert_same(made, {one.name: right})


def test_two_adapters_in_one_file_are_refused_by_name(one):
    start = "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_"
    tensors = {
        f"{start}{side}.{adapter}.weight": getattr(one, word).clone()
        for side, word in (("A", "down"), ("B", "up"))
        for adapter in ("first", "second")
    }
    path = one().with_name("two.safetensors")
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"two\.safetensors.*second.*one adapter a file"):
        additions(one.model, path)


def partly(one, left: int) -> Path:
    """A file with one layer of the starter, and so many that it has not."""
    path = one("partly.safetensors")
    tensors = load_file(path)
    for index in range(left):
        for side in "AB":
            key = f"unet.down_blocks.7.attentions.{index}.proj_in.lora_{side}.weight"
            tensors[key] = torch.ones(2, 2)
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("left", "named"),
    [
        (1, "1 of 2 layers have no place in the_starter.safetensors: unet.down_blocks.7"),
        (3, "3 of 4 layers have no place"),
        (5, "5 of 6 layers have no place"),
    ],
)
def test_a_part_that_does_not_fit_is_told(one, caplog, left, named):
    """In the reply's comments and in the log: how many, and the first three by their keys."""
    path = partly(one, left)
    with caplog.at_level(logging.WARNING):
        added = additions(one.model, path)
    (comment,) = added.comments
    assert comment.startswith("Lora x: ")
    assert named in comment
    assert comment in caplog.text
    keys = [f"unet.down_blocks.7.attentions.{index}.proj_in" for index in range(left)]
    assert [key in comment for key in keys] == [index < 3 for index in range(left)]
    assert comment.endswith(", ...") == (left > 3)
    assert_same(merged(one.model, path), one.right(1.0))


def test_with_strict_networks_a_part_that_does_not_fit_is_an_error(one):
    with pytest.raises(InvalidRequest, match="1 of 2 layers"):
        additions(one.model, partly(one, 1), strict=True)


def test_a_file_of_another_family_has_nothing_for_this_checkpoint(one, caplog):
    keys = [f"transformer.single_transformer_blocks.{i}.attn.to_q.lora_A.weight" for i in range(4)]
    path = one().with_name("flux.safetensors")
    save_file({key: torch.ones(2, 2) for key in keys}, path)
    with caplog.at_level(logging.WARNING):
        added = additions(one.model, path)
    assert added.comments == ("Lora x has nothing for this checkpoint",)
    assert added.comments[0] in caplog.text


@pytest.mark.parametrize(
    ("layout", "key", "layer"),
    [
        (
            sd2_layout(**SMALL_SD2),
            "text_encoder.text_model.encoder.layers.1.mlp.fc1",
            "model_transformer_resblocks_1_mlp_c_fc",
        ),
        (
            sd2_layout(**SMALL_SD2),
            "clip_h.transformer.text_model.encoder.layers.1.mlp.fc2",
            "model_transformer_resblocks_1_mlp_c_proj",
        ),
        (
            sdxl_layout(**SMALL_SDXL),
            "text_encoder_2.text_model.encoder.layers.2.mlp.fc1",
            "1_model_transformer_resblocks_2_mlp_c_fc",
        ),
        (
            sdxl_layout(**SMALL_SDXL),
            "text_encoders.clip_g.transformer.text_model.encoder.layers.2.mlp.fc1",
            "1_model_transformer_resblocks_2_mlp_c_fc",
        ),
        (
            sdxl_layout(**SMALL_SDXL),
            "text_encoder.encoder.layers.3.mlp.fc1",
            "0_transformer_text_model_encoder_layers_3_mlp_fc1",
        ),
        (
            refiner_layout(**SMALL_REFINER),
            "text_encoder_2.text_model.encoder.layers.2.mlp.fc1",
            "0_model_transformer_resblocks_2_mlp_c_fc",
        ),
        (
            refiner_layout(**SMALL_REFINER),
            "unet.up_blocks.1.attentions.1.transformer_blocks.1.attn2.to_k",
            "diffusion_model_output_blocks_3_1_transformer_blocks_1_attn2_to_k",
        ),
    ],
)
def test_other_text_encoders_and_the_refiner(tmp_path, layout, key, layer):
    save_file(random_tensors(layout), tmp_path / "m.safetensors")
    model = load_checkpoint(tmp_path / "m.safetensors")
    (down, up) = drawn(model, {key: layer})[key]
    path = tmp_path / "x.safetensors"
    save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}, path)
    assert_same(merged(model, path), {layer: expected(model, layer, down, up)})
