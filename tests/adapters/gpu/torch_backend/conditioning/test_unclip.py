"""SD2 unCLIP: what it is told of a picture. Spec networks.md 1.4, images.md 6.

Random weights in the true layout, shrunken: no released file can be had here.
"""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import (
    STATISTICS,
    clip_pixels,
    with_image_vectors,
    with_noise_level,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    ScheduledContext,
    WeightedSchedule,
)
from hexfusion.application.ports.inference import Sources
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.layouts import write
from tests.adapters.gpu.torch_backend.layouts_vision import (
    SMALL_UNCLIP_H,
    SMALL_UNCLIP_L,
    SMALL_VIT,
    unclip_h_layout,
    unclip_l_layout,
)
from tests.contracts.inference import from_picture, made_from, pixels, plan, render, with_hires
from tests.sight import assert_mixing_would_show, assert_wide

pytestmark = pytest.mark.torch

WIDTH = SMALL_VIT["projection"]
SIDE = 42  # 3 x 3 patches of 14
VISUAL = "embedder.model.visual."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "Stable-diffusion"
    folder.mkdir()
    return folder / "unclip.safetensors"


def statistics() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.linspace(-1, 1, WIDTH), torch.linspace(0.5, 2, WIDTH)


def picture(colour: str = "teal", size: tuple[int, int] = (64, 64)) -> Image.Image:
    made = Image.new("RGB", size, colour)
    made.paste("orange", (0, 0, size[0] // 2, size[1] // 3))
    return made


@pytest.mark.parametrize(
    ("layout", "family", "widths", "layers", "activation"),
    [
        (unclip_h_layout, "SD2 unCLIP-H", (1280, 1024), 32, "gelu"),
        (unclip_l_layout, "SD2 unCLIP-L", (1024, 768), 24, "quick_gelu"),
    ],
)
def test_the_image_encoders_as_released(layout, family, widths, layers, activation):
    found = infer_architecture(Shapes("m.safetensors", layout()), OriginalConfig())
    assert (found.family.name, found.prediction, found.scale_factor) == (family, "v", 0.18215)
    vision = found.vision
    assert (vision.width, vision.projection) == widths
    assert (vision.heads, vision.activation) == (16, activation)
    assert (vision.patch, vision.side, vision.layers) == (14, 224, layers)
    assert found.unet.vector_width == 2 * widths[1]


class Reference(nn.Module):
    """A ViT as OpenCLIP has it, after its state dict, of torch's own attention."""

    def __init__(self, tensors: dict[str, torch.Tensor], heads: int) -> None:
        super().__init__()
        self.t, self.heads = tensors, heads

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return nn.functional.layer_norm(x, x.shape[-1:], weight, bias)

    def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def forward(self, pixels: torch.Tensor, activate) -> torch.Tensor:
        patches = nn.functional.conv2d(pixels, self.t["conv1.weight"], stride=14)
        tokens = patches.flatten(2).transpose(1, 2)
        classes = self.t["class_embedding"].expand(len(tokens), 1, -1)
        x = torch.cat([classes, tokens], dim=1) + self.t["positional_embedding"]
        x = self.norm(x, "ln_pre")
        for layer in range(SMALL_VIT["layers"]):
            here = f"transformer.resblocks.{layer}"
            attention = nn.MultiheadAttention(x.shape[-1], self.heads, batch_first=True)
            attention.load_state_dict(
                {
                    name.removeprefix(f"{here}.attn."): tensor
                    for name, tensor in self.t.items()
                    if name.startswith(f"{here}.attn.")
                }
            )
            y = self.norm(x, f"{here}.ln_1")
            x = x + attention(y, y, y, need_weights=False)[0]
            inner = activate(self.linear(self.norm(x, f"{here}.ln_2"), f"{here}.mlp.c_fc"))
            x = x + self.linear(inner, f"{here}.mlp.c_proj")
        return self.norm(x[:, 0], "ln_post") @ self.t["proj"]


@pytest.mark.parametrize(
    ("layout", "activate"),
    [
        (SMALL_UNCLIP_H, nn.functional.gelu),
        (SMALL_UNCLIP_L, lambda x: x * torch.sigmoid(1.702 * x)),
    ],
    ids=["H", "L"],
)
@torch.inference_mode()
def test_the_embedding_is_the_encoder_s(path, layout, activate):
    tensors = write(path, layout)
    torch.save(statistics(), path.parent / STATISTICS)
    embedder = load_checkpoint(path).embedder
    visual = {
        name.removeprefix(VISUAL): each for name, each in tensors.items() if name.startswith(VISUAL)
    }
    pictures = [picture(), picture("navy", (96, 40))]
    pixels = torch.cat([clip_pixels(torch.from_numpy(as_floats(each)), SIDE) for each in pictures])
    expected = Reference(visual, heads=1)(pixels, activate)
    mean, spread = statistics() if layout is SMALL_UNCLIP_L else (torch.zeros(WIDTH), 1.0)
    alpha = torch.cos(torch.tensor(0.009 / 1.008 * torch.pi / 2, dtype=torch.float64)) ** 2
    alpha = (alpha / torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2).double()) ** 2).float()
    noise = torch.randn((2, WIDTH), generator=torch.Generator().manual_seed(5))
    expected = (
        alpha.sqrt() * (expected - mean) / spread + (1 - alpha).sqrt() * noise
    ) * spread + mean
    got = embedder(pictures, torch.Generator().manual_seed(5))
    assert got.shape == (2, 2 * WIDTH)
    assert torch.allclose(got[:, :WIDTH], expected, atol=1e-4)
    assert got[:, WIDTH:].tolist() == [[1.0] * (WIDTH // 2) + [0.0] * (WIDTH // 2)] * 2


def as_floats(made: Image.Image):
    import numpy as np

    return np.asarray(made, dtype=np.float32) / 255


def test_a_flat_picture_stays_flat_and_colours_are_clip_s():
    flat = torch.tensor([0.48145466, 0.4578275, 0.40821073]).expand(300, 500, 3)
    assert clip_pixels(flat, 224).abs().max() < 1e-5
    assert clip_pixels(torch.ones(8, 8, 3), 224)[0, 0, 0, 0].item() == pytest.approx(
        1.9303, abs=1e-3
    )


def test_corners_are_aligned_and_what_would_alias_is_blurred():
    ramp = torch.linspace(0, 1, 30).view(1, 30, 1).expand(30, 30, 3)
    row = clip_pixels(ramp, 59)[0, 1, 7] * 0.26130258 + 0.4578275
    assert (row[0].item(), row[-1].item()) == pytest.approx((0, 1), abs=1e-5)
    stripes = (torch.arange(960) % 2).float().view(1, 960, 1).expand(960, 960, 3)
    grey = clip_pixels(stripes, 240)[0, 1] * 0.26130258 + 0.4578275
    assert (grey - 0.5).abs().max() < 0.02


def test_least_noise_is_little():
    embedded = torch.randn(3, 8)
    noised = with_noise_level(embedded, torch.zeros(8), torch.ones(8), torch.Generator())
    assert 0 < (noised[:, :8] - embedded).abs().max() < 0.05


def test_only_what_is_wanted_is_shown_the_picture():
    """The negative prompt's rows see zeros."""
    context = torch.ones(77, 4)
    schedule = (ScheduledContext(5, context),)
    texts = Conditioning(
        positive=((WeightedSchedule(schedule, 0.5),), (WeightedSchedule(schedule),)),
        negative=(schedule, schedule),
    )
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    shown = with_image_vectors(texts, vectors)
    assert [parts[0].schedule[0].vector.tolist() for parts in shown.positive] == vectors.tolist()
    assert [schedule[0].vector.tolist() for schedule in shown.negative] == [[0, 0], [0, 0]]
    assert shown.positive[0][0].weight == 0.5


@pytest.mark.parametrize("where", ["beside", "karlo", "inside"])
def test_statistics_are_found(path, where):
    changes = {}
    if where == "inside":
        names = ("noise_augmentor.data_mean", "noise_augmentor.data_std")
        changes = {name: each[None] for name, each in zip(names, statistics(), strict=True)}
    else:
        folder = path.parent if where == "beside" else path.parent.parent / "karlo"
        folder.mkdir(exist_ok=True)
        torch.save(statistics(), folder / STATISTICS)
    write(path, SMALL_UNCLIP_L, **changes)
    assert load_checkpoint(path).family.name == "SD2 unCLIP-L"


def test_missing_parts_are_named(path):
    write(path, SMALL_UNCLIP_L)
    with pytest.raises(CheckpointError, match=rf"data_mean.*is missing.*put {STATISTICS} beside"):
        load_checkpoint(path)
    (path.parent / STATISTICS).write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match=STATISTICS):
        load_checkpoint(path)
    torch.save((torch.zeros(3), torch.ones(3)), path.parent / STATISTICS)
    with pytest.raises(CheckpointError, match=r"expected \[24\]"):
        load_checkpoint(path)
    write(path, SMALL_UNCLIP_H, **{f"{VISUAL}ln_post.bias": None})
    with pytest.raises(CheckpointError, match="is missing") as refused:
        load_checkpoint(path)
    assert refused.value.tensor == f"{VISUAL}ln_post.bias"
    without = {n: None for n in SMALL_UNCLIP_H if n.startswith("embedder.")}
    write(path, SMALL_UNCLIP_H, **without)
    with pytest.raises(CheckpointError, match="image encoder of this unCLIP is not in the file"):
        load_checkpoint(path)


LABEL = "model.diffusion_model.label_emb.0.0.weight"


@pytest.fixture(scope="module")
def backend():
    return TorchInference(torch.device("cpu"), FULL)


def checkpoint(path: Path, *, heeds: bool = True) -> Checkpoint:
    """One whose UNet heeds the embedding, or does not."""
    write(path, SMALL_UNCLIP_H, **({} if heeds else {LABEL: torch.zeros(SMALL_UNCLIP_H[LABEL])}))
    return Checkpoint(name=path.name, filename=str(path))


def test_only_the_embedding_tells_of_a_picture_that_is_wholly_masked(backend, path):
    """img2img at full strength, its latent emptied: nothing else of the picture is left."""

    def both(used: Checkpoint) -> list[Image.Image]:
        wanted = from_picture(plan(used, steps=2), strength=1.0, content="nothing")
        mask = Image.new("L", (64, 64), 255)
        starts = (Sources([picture(colour)], mask) for colour in ("teal", "pink"))
        return [made_from(backend, wanted, start)[0] for start in starts]

    teal, pink = both(checkpoint(path))
    assert_mixing_would_show(teal, pink)
    again = both(checkpoint(path.with_name("heeding.safetensors")))
    assert pixels(again) == pixels([teal, pink])
    teal, pink = both(checkpoint(path.with_name("blind.safetensors"), heeds=False))
    assert teal.tobytes() == pink.tobytes()


def test_each_picture_of_a_batch_is_told_of_its_own(backend, path):
    used = checkpoint(path)
    teal, pink = picture("teal"), picture("pink")
    wanted = from_picture(plan(used, seeds=(1, 2), steps=2), strength=1.0)
    first, second = made_from(backend, wanted, Sources([teal, pink]))
    swapped = made_from(backend, wanted, Sources([pink, teal]))
    assert_mixing_would_show(first, swapped[0])
    assert_mixing_would_show(second, swapped[1])
    # Not made alone: what little noise an embedding gets is drawn after the batch was encoded.
    assert first.tobytes() == made_from(backend, wanted, Sources([teal, teal]))[0].tobytes()
    assert second.tobytes() == made_from(backend, wanted, Sources([pink, pink]))[1].tobytes()


def test_without_a_picture_it_is_told_nothing(backend, path):
    """txt2img, and hires fix in both its passes: zeros, however much it heeds them."""
    deaf = checkpoint(path.with_name("b.safetensors"), heeds=False)
    heeding, blind = (
        render(backend, with_hires(plan(used, steps=2))) for used in (checkpoint(path), deaf)
    )
    assert_wide(*heeding)
    assert pixels(heeding) == pixels(blind)
