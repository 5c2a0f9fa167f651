"""RetinaFace with a ResNet-50 backbone: the face detection network.

Source: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild" (arXiv
1905.00641); He et al., "Deep Residual Learning" (arXiv 1512.03385), with the stride in a block's
3x3 convolution. Names of tensors: detection_Resnet50_Final.pth.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceNetwork, FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.shared_layers import FixedNorm

#: Anchors of each cell.
ANCHORS = 2
#: Numbers for each anchor: classes (no face, face), box and landmarks.
_CLASSES, _BOX, _LANDMARKS = 2, 4, 10


class _Bottleneck(nn.Module):
    """A residual bottleneck block: convolutions of 1x1, 3x3 and 1x1."""

    def __init__(self, taken: int, inner: int, made: int, stride: int, *, projected: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(taken, inner, 1, bias=False), FixedNorm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = FixedNorm(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, made, 1, bias=False), FixedNorm(made)
        self.downsample: nn.Module = nn.Identity()
        if projected:
            projection = nn.Conv2d(taken, made, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, FixedNorm(made))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class _Backbone(nn.Module):
    """A residual network without its classifier: (B, 3, H, W) -> features at strides 8, 16, 32."""

    def __init__(self, state: FaceTensors) -> None:
        super().__init__()
        first = state.widths("body.conv1.weight")[0]
        self.conv1 = nn.Conv2d(3, first, 7, 2, 3, bias=False)
        self.bn1 = FixedNorm(first)
        for number in range(1, 5):
            self.add_module(f"layer{number}", _stage(state, number))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        found = []
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            found.append(x)
        return found[1:]


def _stage(state: FaceTensors, number: int) -> nn.Sequential:
    blocks = []
    for block in range(state.count(f"body.layer{number}.")):
        name = f"body.layer{number}.{block}"
        inner, taken = state.widths(f"{name}.conv1.weight")[:2]
        made = state.widths(f"{name}.conv3.weight")[0]
        stride = 2 if block == 0 and number > 1 else 1
        projected = f"{name}.downsample.0.weight" in state
        blocks.append(_Bottleneck(taken, inner, made, stride, projected=projected))
    return nn.Sequential(*blocks)


class _Normed(nn.Sequential):
    """A convolution without bias, a norm, and (with a slope) a leaky ReLU."""

    def __init__(self, taken: int, made: int, side: int, slope: float | None) -> None:
        layers = [nn.Conv2d(taken, made, side, padding=side // 2, bias=False), FixedNorm(made)]
        super().__init__(*layers, *([] if slope is None else [nn.LeakyReLU(slope)]))


class _Pyramid(nn.Module):
    """A feature pyramid over three scales: coarser features are added to finer ones."""

    def __init__(self, taken: list[int], made: int) -> None:
        super().__init__()
        slope = _slope(made)
        for number, each in enumerate(taken, 1):
            self.add_module(f"output{number}", _Normed(each, made, 1, slope))
        self.merge1 = _Normed(made, made, 3, slope)
        self.merge2 = _Normed(made, made, 3, slope)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (
            self.get_submodule(f"output{number}")(x) for number, x in enumerate(features, 1)
        )
        middle = self.merge2(middle + functional.interpolate(coarse, middle.shape[-2:]))
        fine = self.merge1(fine + functional.interpolate(middle, fine.shape[-2:]))
        return [fine, middle, coarse]


class _Context(nn.Module):
    """A context module: half of the channels see 3x3 pixels, a quarter each 5x5 and 7x7."""

    def __init__(self, taken: int, made: int) -> None:
        super().__init__()
        slope, quarter = _slope(made), made // 4
        self.conv3X3 = _Normed(taken, made // 2, 3, None)
        self.conv5X5_1 = _Normed(taken, quarter, 3, slope)
        self.conv5X5_2 = _Normed(quarter, quarter, 3, None)
        self.conv7X7_2 = _Normed(quarter, quarter, 3, slope)
        self.conv7x7_3 = _Normed(quarter, quarter, 3, None)

    def forward(self, x: Tensor) -> Tensor:
        wider = self.conv5X5_1(x)
        views = (self.conv3X3(x), self.conv5X5_2(wider), self.conv7x7_3(self.conv7X7_2(wider)))
        return functional.relu(torch.cat(views, 1))


class _Head(nn.Module):
    """The numbers of every anchor: (B, C, H, W) to (B, H * W * anchors, numbers), row by row."""

    def __init__(self, taken: int, numbers: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(taken, ANCHORS * numbers, 1)
        self._numbers = numbers

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self._numbers)


class RetinaFace(FaceNetwork):
    """Detects faces: (1, 3, H, W), BGR levels minus their mean, to outputs for every anchor.

    Returns likelihoods (N,), boxes (N, 4) and landmarks (N, 10) relative to the anchors, finest
    scale first.
    """

    def __init__(self, state: FaceTensors) -> None:
        super().__init__()
        self.body = _Backbone(state)
        made, _, *_ = state.widths("fpn.output1.0.weight")
        taken = [state.widths(f"fpn.output{number}.0.weight")[1] for number in (1, 2, 3)]
        self.fpn = _Pyramid(taken, made)
        for number in (1, 2, 3):
            self.add_module(f"ssh{number}", _Context(made, made))
        heads = (("ClassHead", _CLASSES), ("BboxHead", _BOX), ("LandmarkHead", _LANDMARKS))
        for name, numbers in heads:
            self.add_module(name, nn.ModuleList(_Head(made, numbers) for _ in range(3)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels = [
            self.get_submodule(f"ssh{number}")(level)
            for number, level in enumerate(self.fpn(self.body(x)), 1)
        ]

        def outputs(name: str) -> Tensor:
            heads = self.get_submodule(name).children()
            return torch.cat([head(x) for head, x in zip(heads, levels, strict=True)], 1)[0]

        return outputs("ClassHead").softmax(-1)[:, 1], outputs("BboxHead"), outputs("LandmarkHead")

    def fits(self) -> bool:
        """See `FaceNetwork.fits`."""
        scores, boxes, landmarks = self(torch.empty(1, 3, 64, 96))
        count = ANCHORS * (8 * 12 + 4 * 6 + 2 * 3)
        found = scores.shape, boxes.shape, landmarks.shape
        return found == ((count,), (count, _BOX), (count, _LANDMARKS))


def _slope(features: int) -> float:
    """The slope of leaky ReLUs: 0.1 in narrow networks, 0 in others."""
    return 0.1 if features <= 64 else 0.0
