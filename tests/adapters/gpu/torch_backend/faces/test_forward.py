"""What RetinaFace and ParseNet compute, worked out once more from the papers in plain functions
over the same random tensors: every activation, norm, border and way around is in it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceTensors, build
from hexfusion.adapters.gpu.torch_backend.faces.parsenet import ParseNet
from hexfusion.adapters.gpu.torch_backend.faces.retinaface import RetinaFace
from tests.adapters.gpu.torch_backend.faces import layouts

pytestmark = pytest.mark.torch

Tensors = dict[str, Tensor]


def convolved(x: Tensor, state: Tensors, name: str, step: int = 1, padding: int = 0) -> Tensor:
    return functional.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), step, padding)


def normed(x: Tensor, state: Tensors, name: str) -> Tensor:
    def wide(part: str) -> Tensor:
        return state[f"{name}.{part}"][:, None, None]

    spread = (wide("running_var") + 1e-5) ** 0.5
    return (x - wide("running_mean")) / spread * wide("weight") + wide("bias")


def bent(x: Tensor, slope: float) -> Tensor:
    """A (leaky) ReLU."""
    return torch.where(x > 0, x, x * slope)


def enlarged(x: Tensor, height: int, width: int) -> Tensor:
    """Each cell by the nearest one, counted from the top left."""
    rows = torch.arange(height) * x.shape[-2] // height
    columns = torch.arange(width) * x.shape[-1] // width
    return x[..., rows, :][..., columns]


def residual(x: Tensor, state: Tensors, name: str, step: int) -> Tensor:
    """He et al., figure 5, right; the step in the middle convolution."""
    y = bent(normed(convolved(x, state, f"{name}.conv1"), state, f"{name}.bn1"), 0)
    y = bent(normed(convolved(y, state, f"{name}.conv2", step, 1), state, f"{name}.bn2"), 0)
    y = normed(convolved(y, state, f"{name}.conv3"), state, f"{name}.bn3")
    if f"{name}.downsample.0.weight" in state:
        x = normed(convolved(x, state, f"{name}.downsample.0", step), state, f"{name}.downsample.1")
    return bent(y + x, 0)


def retinaface(x: Tensor, state: Tensors, blocks: int, slope: float) -> tuple[Tensor, ...]:
    def layer(x: Tensor, name: str, padding: int = 1) -> Tensor:
        return normed(convolved(x, state, f"{name}.0", 1, padding), state, f"{name}.1")

    x = bent(normed(convolved(x, state, "body.conv1", 2, 3), state, "body.bn1"), 0)
    x = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
    x = x.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    features = []
    for stage in (1, 2, 3, 4):
        for block in range(blocks):
            step = 2 if stage > 1 and block == 0 else 1
            x = residual(x, state, f"body.layer{stage}.{block}", step)
        features.append(x)
    fine, middle, coarse = (
        bent(layer(each, f"fpn.output{number}", 0), slope)
        for number, each in enumerate(features[1:], 1)
    )
    middle = middle + enlarged(coarse, *middle.shape[-2:])
    middle = bent(layer(middle, "fpn.merge2"), slope)
    fine = bent(layer(fine + enlarged(middle, *fine.shape[-2:]), "fpn.merge1"), slope)
    told: dict[str, list[Tensor]] = {"ClassHead": [], "BboxHead": [], "LandmarkHead": []}
    for number, level in enumerate((fine, middle, coarse)):
        context = f"ssh{number + 1}"
        five = bent(layer(level, f"{context}.conv5X5_1"), slope)
        seven = bent(layer(five, f"{context}.conv7X7_2"), slope)
        views = (
            layer(level, f"{context}.conv3X3"),
            layer(five, f"{context}.conv5X5_2"),
            layer(seven, f"{context}.conv7x7_3"),
        )
        seen = bent(torch.cat(views, 1), 0)
        for head, found in told.items():
            made = convolved(seen, state, f"{head}.{number}.conv1x1")[0]
            height, width = made.shape[1:]
            each = made.reshape(2, -1, height, width)  # anchor, number, row, column
            found.append(each.permute(2, 3, 0, 1).flatten(0, 2))
    scores, boxes, landmarks = (torch.cat(each) for each in told.values())
    likely = scores.exp()
    return likely[:, 1] / likely.sum(1), boxes, landmarks


@pytest.mark.parametrize(("made", "slope"), [(8, 0.1), (64, 0.1), (68, 0.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_retinaface(made: int, slope: float, seed: int) -> None:
    """Sides that are not multiples of 32 too, so that a level's cells are not twice the next's."""
    layout = layouts.retinaface(6, [4] * 4, [2] * 4, made, 2)
    state = layouts.drawn(layout, seed)
    network = build(FaceTensors("x.pth", state), RetinaFace)
    for height, width in ((64, 96), (88, 72)):
        x = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 3
        with torch.inference_mode():
            got, wanted = network(x), retinaface(x, state, 2, slope)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def mirrored(x: Tensor) -> Tensor:
    """One more at each side, as seen in a mirror that stands on the border's own pixels."""
    x = torch.cat((x[..., 1:2], x, x[..., -2:-1]), -1)
    return torch.cat((x[..., 1:2, :], x, x[..., -2:-1, :]), -2)


def parsed(x: Tensor, state: Tensors, steps: int, depth: int) -> Tensor:
    def layer(x: Tensor, name: str, scale: int = 0) -> Tensor:
        if scale > 0:
            x = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
        x = convolved(mirrored(x), state, f"{name}.conv2d", 2 if scale < 0 else 1)
        return normed(x, state, f"{name}.norm.norm") if f"{name}.norm.norm.weight" in state else x

    def block(x: Tensor, name: str, scale: int) -> Tensor:
        beside = f"{name}.shortcut_func"
        by = layer(x, beside, scale) if f"{beside}.conv2d.weight" in state else x
        y = bent(layer(x, f"{name}.conv1", max(scale, 0)), 0.2)
        return by + layer(y, f"{name}.conv2", min(scale, 0))

    x = layer(x, "encoder.0")
    for number in range(1, steps + 1):
        x = block(x, f"encoder.{number}", -1)
    within = x
    for number in range(depth):
        within = block(within, f"body.{number}", 0)
    x = x + within
    for number in range(steps):
        x = block(x, f"decoder.{number}", 1)
    return layer(x, "out_mask_conv")


@pytest.mark.parametrize("seed", [0, 1])
def test_parsenet(seed: int) -> None:
    """To the border, where mirrored pixels matter."""
    state = layouts.drawn(layouts.parsenet(4, 8, steps=3, depth=2), seed)
    network = build(FaceTensors("x.pth", state), ParseNet)
    x = torch.randn(1, 3, 64, 32, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        got, wanted = network(x), parsed(x, state, 3, 2)
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)
