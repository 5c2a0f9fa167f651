"""SD2's depth model: the estimator in its file, and what its UNet is shown of a picture.

Spec networks.md 1.4, images.md 6. Random weights in the true layout, shrunken: no released file can
be had here.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.conditioning.depth import (
    depth_channels,
    input_size,
    readouts,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.application.ports.inference import Sources
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError, InvalidRequest
from tests.adapters.gpu.torch_backend.layouts import random_tensors, write
from tests.adapters.gpu.torch_backend.layouts_vision import SMALL_DEPTH, SMALL_DPT, depth_layout
from tests.contracts.inference import from_picture, made_from, plan, render
from tests.sight import assert_mixing_would_show

pytestmark = pytest.mark.torch

DPT = "depth_model.model."
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


def picture(colour: str = "teal", size: tuple[int, int] = (64, 64)) -> Image.Image:
    made = Image.new("RGB", size, colour)
    made.paste("orange", (0, 0, size[0] // 2, size[1] // 3))
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("depth") / "depth.safetensors"
    tensors = random_tensors(SMALL_DEPTH)
    bias = f"{DPT}scratch.output_conv.4.bias"
    # one whose depths are not all cut off at zero, and whose UNet heeds them more than the latent
    tensors[FIRST][:, 4] *= 5
    write(path, SMALL_DEPTH, **{bias: torch.ones(1), FIRST: tensors[FIRST]})
    return path


@pytest.fixture(scope="module")
def loaded(path):
    return load_checkpoint(path)


def test_the_estimator_as_released():
    found = infer_architecture(Shapes("m.safetensors", depth_layout()), OriginalConfig())
    assert (found.family.name, found.prediction) == ("SD2 depth", "epsilon")
    assert found.unet.in_channels == 5
    depth = found.depth
    assert (depth.stem, depth.stages, depth.stage_blocks) == (64, (256, 512, 1024), (3, 4, 9))
    assert (depth.width, depth.layers, depth.heads, depth.grid) == (768, 12, 12, 24)
    assert (depth.neck, depth.fusion) == ((256, 512, 768, 768), 256)
    assert readouts(depth.layers) == (8, 11)


class Reference:
    """DPT-hybrid after its paper and its state dict, in functions of torch's alone."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.t = {n.removeprefix(DPT): each for n, each in tensors.items() if n.startswith(DPT)}

    def standardised(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """A convolution of standardised weights, padded as TensorFlow does."""
        weight = self.t[f"{name}.weight"]
        variance, mean = torch.var_mean(weight, (1, 2, 3), keepdim=True, unbiased=False)
        size = weight.shape[-1]
        side = x.shape[-1]
        rows = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in (side, x.shape[-2])]
        x = functional.pad(x, [p for n in rows for p in (n // 2, n - n // 2)])
        return functional.conv2d(x, (weight - mean) / (variance + 1e-8).sqrt(), stride=stride)

    def group_norm(self, x: Tensor, name: str) -> Tensor:
        return functional.group_norm(x, 32, self.t[f"{name}.weight"], self.t[f"{name}.bias"])

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.t[f"{name}.weight"], self.t[f"{name}.bias"])

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.t[f"{name}.weight"]
        bias = self.t.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)

    def resnet(self, x: Tensor) -> list[Tensor]:
        here = "pretrained.model.patch_embed.backbone"
        x = self.group_norm(self.standardised(x, f"{here}.stem.conv", 2), f"{here}.stem.norm")
        x = functional.max_pool2d(functional.pad(x.relu(), (0, 1, 0, 1)), 3, 2)
        maps = []
        for stage, blocks in enumerate(SMALL_DPT["stage_blocks"]):
            for block in range(blocks):
                name = f"{here}.stages.{stage}.blocks.{block}"
                stride = 2 if stage and not block else 1
                shortcut = x
                if not block:
                    shortcut = self.standardised(x, f"{name}.downsample.conv", stride)
                    shortcut = self.group_norm(shortcut, f"{name}.downsample.norm")
                x = self.group_norm(self.standardised(x, f"{name}.conv1"), f"{name}.norm1").relu()
                x = self.standardised(x, f"{name}.conv2", stride)
                x = self.group_norm(x, f"{name}.norm2").relu()
                x = self.group_norm(self.standardised(x, f"{name}.conv3"), f"{name}.norm3")
                x = (x + shortcut).relu()
            maps.append(x)
        return maps

    def vit(self, x: Tensor) -> tuple[list[Tensor], tuple[int, int]]:
        patches = self.conv(x, "pretrained.model.patch_embed.proj")
        grid = patches.shape[-2:]
        positions = self.t["pretrained.model.pos_embed"]
        side = SMALL_DPT["grid"]
        squares = positions[:, 1:].mT.unflatten(2, (side, side))
        squares = functional.interpolate(squares, grid, mode="bilinear").flatten(2).mT
        x = torch.cat([self.t["pretrained.model.cls_token"], patches.flatten(2).mT], 1)
        x = x + torch.cat([positions[:, :1], squares], 1)
        taken = []
        for layer in range(SMALL_DPT["layers"]):
            here = f"pretrained.model.blocks.{layer}"
            q, k, v = self.linear(self.norm(x, f"{here}.norm1"), f"{here}.attn.qkv").chunk(3, -1)
            attended = ((q @ k.mT) / q.shape[-1] ** 0.5).softmax(-1) @ v  # of one head
            x = x + self.linear(attended, f"{here}.attn.proj")
            inner = functional.gelu(self.linear(self.norm(x, f"{here}.norm2"), f"{here}.mlp.fc1"))
            x = x + self.linear(inner, f"{here}.mlp.fc2")
            if layer in (2, 3):
                taken.append(x)
        return taken, grid

    def read_out(self, x: Tensor, grid: tuple[int, int], name: str) -> Tensor:
        both = torch.cat([x[:, 1:], x[:, :1].expand(-1, x.shape[1] - 1, -1)], -1)
        read = functional.gelu(self.linear(both, f"{name}.0.project.0"))
        return self.conv(read.mT.unflatten(2, grid), f"{name}.3")

    def residual(self, x: Tensor, name: str) -> Tensor:
        return x + self.conv(self.conv(x.relu(), f"{name}.conv1").relu(), f"{name}.conv2")

    def __call__(self, pixels: Tensor) -> Tensor:
        first, second, third = self.resnet(pixels)
        (ninth, twelfth), grid = self.vit(third)
        maps = [
            first,
            second,
            self.read_out(ninth, grid, "pretrained.act_postprocess3"),
            self.conv(
                self.read_out(twelfth, grid, "pretrained.act_postprocess4"),
                "pretrained.act_postprocess4.4",
                stride=2,
            ),
        ]
        x: Tensor | None = None
        for level in (4, 3, 2, 1):
            here = f"scratch.refinenet{level}"
            beside = self.conv(maps[level - 1], f"scratch.layer{level}_rn")
            x = beside if x is None else x + self.residual(beside, f"{here}.resConfUnit1")
            x = self.residual(x, f"{here}.resConfUnit2")
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = self.conv(x, f"{here}.out_conv")
        x = self.conv(x, "scratch.output_conv.0")
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = self.conv(self.conv(x, "scratch.output_conv.2").relu(), "scratch.output_conv.4")
        return x.relu()[0, 0]


@pytest.mark.parametrize("size", [(64, 64), (96, 32), (64, 128)])
@torch.inference_mode()
def test_it_is_the_network_of_the_paper(path, loaded, size):
    """Of any proportions; where sides are what it looks at, nothing is resized."""
    tensors = random_tensors(SMALL_DEPTH) | {f"{DPT}scratch.output_conv.4.bias": torch.ones(1)}
    width, height = size
    seen = input_size(height, width, 64)
    floats = torch.from_numpy(np.asarray(picture(size=size), dtype=np.float32) / 255)
    chosen = functional.interpolate(floats.permute(2, 0, 1)[None], seen, mode="bicubic")
    expected = Reference(tensors)(chosen * 2 - 1)
    got = loaded.image_input.estimator(floats)
    assert got.shape == expected.shape == seen
    assert expected.std() > 1e-3
    assert torch.allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (384, 384, (384, 384)),
        (512, 512, (384, 384)),
        (512, 768, (384, 576)),
        (768, 512, (576, 384)),
        (320, 512, (384, 608)),  # 1.2 is nearer to 1 than 0.75
        (64, 64, (384, 384)),
        (2048, 64, (384, 32)),
    ],
)
def test_what_it_looks_at(height, width, expected):
    """MiDaS' rule "minimal": scaled as little as may be, to multiples of 32."""
    assert input_size(height, width, 384) == expected


def test_depth_runs_from_minus_one_to_one(loaded):
    """Spec images.md 6."""
    shown = depth_channels(loaded.image_input.estimator, [picture(), picture("navy")], (9, 8))
    assert shown.shape == (2, 1, 9, 8)
    for each in shown:
        assert (each.min().item(), each.max().item()) == pytest.approx((-1, 1))
    assert not torch.equal(shown[0], shown[1])


def test_where_all_is_equally_far_nothing_is_divided_by_zero(path):
    flat = path.with_name("flat.safetensors")
    name = f"{DPT}scratch.output_conv.4"
    zeros = torch.zeros(1, 32, 1, 1), torch.zeros(1)
    write(flat, SMALL_DEPTH, **{f"{name}.weight": zeros[0], f"{name}.bias": zeros[1]})
    assert not depth_channels(
        load_checkpoint(flat).image_input.estimator, [picture()], (8, 8)
    ).any()


def test_a_picture_is_painted_by_its_depth(path):
    """All masked, at full strength: nothing but its depth is left of a picture."""
    backend = TorchInference(torch.device("cpu"), FULL)
    used = Checkpoint(name=path.name, filename=str(path))
    wanted = from_picture(plan(used, steps=2), strength=1.0, content="nothing")
    mask = Image.new("L", (64, 64), 255)
    made = [
        made_from(backend, wanted, Sources([each], mask))[0]
        for each in (picture(), picture().rotate(180), picture())
    ]
    assert_mixing_would_show(made[0], made[1])
    assert made[0].tobytes() == made[2].tobytes()
    with pytest.raises(InvalidRequest, match=r"init_images: .*use img2img"):
        render(backend, plan(used))


def test_missing_parts_are_named(tmp_path):
    path = tmp_path / "m.safetensors"
    without = {name: None for name in SMALL_DEPTH if name.startswith(DPT)}
    write(path, SMALL_DEPTH, **without)
    with pytest.raises(CheckpointError, match="depth estimator of this depth model is not in"):
        load_checkpoint(path)
    name = f"{DPT}pretrained.model.blocks.2.attn.qkv.bias"
    write(path, SMALL_DEPTH, **{name: None})
    with pytest.raises(CheckpointError, match="is missing") as refused:
        load_checkpoint(path)
    assert refused.value.tensor == name
