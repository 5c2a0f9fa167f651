"""DeepDanbooru: a residual network that tags pictures, read from its converted file.

Source: the layout of `model-resnet_custom_v3.pt`: convolutions `n_Conv_0` to the last, numbered in
the order of computation, with normalisations folded in. A residual block has convolutions of
1 x 1, 3 x 3 and 1 x 1; the first block of a stage also has one of 1 x 1 on its shortcut, numbered
before or after them. Each stage but the first begins by halving the sides. Padding is TensorFlow's
`SAME`: an odd pixel is padded at the right and bottom. (He et al. 2015;
KichangKim/DeepDanbooru, `custom_v3`: stages of 256, 512, 1024, 1024, 2048 and 4096 channels, of 3,
8, 20, 20, 3 and 3 blocks.)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.adapters.gpu.torch_backend.files.weights import read_torch_file
from hexfusion.application.pictures.resizing import FILL, fit
from hexfusion.domain.errors import CheckpointError

#: The side of its input pictures, in pixels.
SIDE = 512
_NAME = re.compile(r"n_Conv_(\d+)\.(weight|bias)$")


@dataclass(frozen=True)
class ResidualBlock:
    """Numbers of a block's convolutions: `row` in sequence, `stream` on the shortcut, if any.

    `step` is the stride.
    """

    row: tuple[int, int, int]
    stream: int | None
    step: int


def plan(shapes: Sequence[tuple[int, ...]], file: str) -> list[ResidualBlock]:
    """The residual blocks between the first convolution and the last, from the weights' shapes.

    Raises `CheckpointError` if the shapes are of another network.
    """
    blocks: list[ResidualBlock] = []
    at, last = 1, len(shapes) - 1
    width = shapes[0][0] if shapes else 0
    before = [shape[-1] for shape in shapes[1:5]] == [1, 1, 3, 1]  # the stream's come first
    while at < last:
        sides = [shape[-1] for shape in shapes[at : at + 4]]
        stream = at if before and sides == [1, 1, 3, 1] else None
        first = at if stream is None else at + 1
        row = (first, first + 1, first + 2)
        if [shape[-1] for shape in shapes[first : first + 3]] != [1, 3, 1]:
            raise CheckpointError(file, "begins no block", f"n_Conv_{at}.weight")
        out = shapes[row[2]][0]
        if not before and at + 3 < last and shapes[at + 3][:2] == (out, width):
            stream = at + 3
        read = [shapes[number][1] for number in row]
        written = [width, shapes[row[0]][0], shapes[row[1]][0]]
        kept = width == out if stream is None else shapes[stream][:2] == (out, width)
        if read != written or not kept:
            message = "does not follow from what is before"
            raise CheckpointError(file, message, f"n_Conv_{at}.weight")
        blocks.append(ResidualBlock(row, stream, 2 if stream is not None and blocks else 1))
        at, width = at + (3 if stream is None else 4), out
    if not blocks or at != last or shapes[last][1:] != (width, 1, 1):
        raise CheckpointError(file, "is no residual network with tags at its end")
    return blocks


class Danbooru(nn.Module):
    """The network: pictures (B, 3, H, W), 0 to 1, to probabilities of tags (B, tags)."""

    def __init__(self, state: StateDict, blocks: Sequence[ResidualBlock]) -> None:
        super().__init__()
        count = 1 + max(int(name.split(".")[0].removeprefix("n_Conv_")) for name in state)
        self._blocks = tuple(blocks)
        for number in range(count):
            weight = state[f"n_Conv_{number}.weight"]
            out, into, side, _ = weight.shape
            bias = f"n_Conv_{number}.bias" in state
            self.add_module(f"n_Conv_{number}", nn.Conv2d(into, out, side, bias=bias))
        self._last = count - 1

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self._conv(0, x, 2))
        x = functional.max_pool2d(_padded(x, 3, 2, -torch.inf), 3, 2)
        for block in self._blocks:
            first, second, third = block.row
            made = functional.relu(self._conv(first, x))
            made = functional.relu(self._conv(second, made, block.step))
            made = self._conv(third, made)
            stream = x if block.stream is None else self._conv(block.stream, x, block.step)
            x = functional.relu(made + stream)
        return self._conv(self._last, x).mean((2, 3)).sigmoid()

    def _conv(self, number: int, x: Tensor, step: int = 1) -> Tensor:
        conv = self.get_submodule(f"n_Conv_{number}")
        assert isinstance(conv, nn.Conv2d)
        x = _padded(x, conv.kernel_size[0], step)
        return functional.conv2d(x, conv.weight, conv.bias, step)


def _padded(x: Tensor, side: int, step: int, value: float = 0.0) -> Tensor:
    """`x` padded as for TensorFlow's `SAME` convolution of that kernel `side` and stride."""
    height, width = x.shape[-2:]
    more = [max(0, (-(-length // step) - 1) * step + side - length) for length in (width, height)]
    (across, down) = more
    pads = (across // 2, across - across // 2, down // 2, down - down // 2)
    return functional.pad(x, pads, value=value) if any(pads) else x


@dataclass(frozen=True, eq=False)
class Tagger:
    """The network and its tags, in the order of its outputs."""

    network: Danbooru
    tags: tuple[str, ...]

    def parameters(self) -> Iterator[torch.Tensor]:
        """The network's parameters."""
        return self.network.parameters()

    def to(self, device: torch.device) -> None:
        self.network.to(device)


def load_danbooru(file: Path, dtype: torch.dtype) -> Tagger:
    """Load the file to the CPU, in `dtype`. Raises `CheckpointError`."""
    content = read_torch_file(file)
    tags = content.get("tags") if isinstance(content, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise CheckpointError(str(file), "is no DeepDanbooru: it has no list of tags")
    assert isinstance(content, dict)
    state = {
        name: tensor
        for name, tensor in content.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    network = build(state, str(file)).to(dtype)
    made = state[f"n_Conv_{network._last}.weight"].shape[0]
    if made != len(tags):
        raise CheckpointError(str(file), f"tells {made} tags apart and names {len(tags)}")
    return Tagger(network, tuple(tags))


def build(state: Mapping[str, Tensor], file: str) -> Danbooru:
    """Build the network from these tensors. Raises `CheckpointError`."""
    weights: dict[int, Tensor] = {}
    for name, tensor in state.items():
        match = _NAME.match(name)
        if match is None:
            raise CheckpointError(file, "does not belong in a DeepDanbooru", name)
        if match[2] == "weight":
            if tensor.dim() != 4 or tensor.shape[2] != tensor.shape[3]:
                raise CheckpointError(file, "is no convolution", name)
            weights[int(match[1])] = tensor
    if sorted(weights) != list(range(len(weights))) or len(weights) < 5:
        raise CheckpointError(file, "lacks some of a DeepDanbooru's convolutions")
    blocks = plan([tuple(weights[k].shape) for k in range(len(weights))], file)
    with torch.device("meta"):
        network = Danbooru(state, blocks)
    wanted = network.state_dict()
    for number in range(len(weights) - 1):  # the last may have one
        if f"n_Conv_{number}.bias" not in state:
            raise CheckpointError(file, "is missing", f"n_Conv_{number}.bias")
    for name, tensor in state.items():
        if name not in wanted or wanted[name].shape != tensor.shape:
            raise CheckpointError(file, f"has shape {tuple(tensor.shape)}", name)
    network.load_state_dict({name: each.float() for name, each in state.items()}, assign=True)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def probabilities(tagger: Tagger, picture: Image) -> list[float]:
    """The probability of each tag for an RGB picture. Spec images.md 12.2.

    Raises `InvalidRequest` for a picture too narrow to be fitted into a square.
    """
    weight = next(tagger.network.parameters())
    levels = np.array(fit(picture, (SIDE, SIDE), FILL, field="image"))
    pixels = torch.from_numpy(levels).permute(2, 0, 1)[None].to(weight.device)
    return tagger.network(pixels.to(weight.dtype).div(255))[0].float().tolist()
