"""DeepDanbooru's network from its published layout (spec images.md 12.2)."""

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.interrogate.danbooru import (
    build,
    load_danbooru,
    plan,
    probabilities,
)
from hexfusion.domain.errors import CheckpointError, InvalidRequest
from tests.adapters.gpu.torch_backend.interrogate.networks import STAGES, TAGS, danbooru

pytestmark = pytest.mark.torch


def weights(state):
    return {name: each for name, each in state.items() if name != "tags"}


def by_hand(state, x, strides):
    """The published order, a stage's convolution on the stream first; sides that halve evenly."""
    numbers = iter(range(1000))

    def conv(x, stride=1, pad=None, number=None):
        number = next(numbers) if number is None else number
        weight, bias = state[f"n_Conv_{number}.weight"], state.get(f"n_Conv_{number}.bias")
        pad = pad or (weight.shape[-1] // 2,) * 4
        return functional.conv2d(functional.pad(x, pad), weight, bias, stride)

    x = functional.relu(conv(x, 2, (2, 3, 2, 3)))
    x = functional.pad(x, (0, 1, 0, 1), value=float("-inf"))
    x = nn.MaxPool2d(3, 2)(x)
    for first, stride in strides:
        stream = conv(x, stride) if first else x
        made = functional.relu(conv(x))
        made = functional.relu(conv(made, stride, (0, 1, 0, 1) if stride == 2 else None))
        x = functional.relu(conv(made) + stream)
    return functional.adaptive_avg_pool2d(conv(x), 1).flatten(1).sigmoid()


@pytest.mark.parametrize("bias", [False, True])
def test_it_computes_what_the_layout_says(bias):
    torch.manual_seed(1)
    state = weights(danbooru(bias=bias))
    x = torch.rand(2, 3, 64, 64)
    strides = [(True, 1), (False, 1), (True, 2), (False, 1), (True, 2)]
    made = build(state, "x")(x)
    assert made.shape == (2, len(TAGS))
    assert torch.allclose(made, by_hand(state, x, strides), atol=1e-6)


def test_either_order_of_a_stages_first_block():
    """The same network, numbered otherwise."""
    torch.manual_seed(2)
    before = weights(danbooru(first=True))
    at, order = 1, {}
    for _, more in ((16, 1), (24, 1), (24, 0)):
        order |= {at: at + 3, at + 1: at, at + 2: at + 1, at + 3: at + 2}
        at += 4 + 3 * more
    after = {}
    for name, tensor in before.items():
        number, kind = name.removeprefix("n_Conv_").split(".")
        after[f"n_Conv_{order.get(int(number), int(number))}.{kind}"] = tensor
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(build(after, "x")(x), build(before, "x")(x))


def test_odd_sides_are_padded_as_tensorflow_does():
    state = weights(danbooru())
    assert build(state, "x")(torch.rand(1, 3, 37, 51)).shape == (1, len(TAGS))


def test_the_published_sizes_are_understood():
    """179 convolutions: 54 blocks in six stages, of which five halve the sides."""
    shapes = [(64, 3, 7, 7)]
    width = 64
    for out, more in STAGES:
        inner = out // 4
        shapes += [(out, width, 1, 1)]
        for number in range(more + 1):
            into = width if number == 0 else out
            shapes += [(inner, into, 1, 1), (inner, inner, 3, 3), (out, inner, 1, 1)]
        width = out
    shapes.append((9176, width, 1, 1))
    blocks = plan(shapes, "x")
    assert len(shapes) == 179
    assert len(blocks) == 57
    assert sum(block.stream is not None for block in blocks) == 6
    assert sum(block.step == 2 for block in blocks) == 5


def test_a_picture_s_tags(tmp_path):
    file = tmp_path / "model-resnet_custom_v3.pt"
    torch.save(danbooru(), file)
    tagger = load_danbooru(file, torch.float32)
    assert tagger.tags == TAGS
    found = probabilities(tagger, Image.new("RGB", (30, 20), "red"))
    assert len(found) == len(TAGS)
    assert all(0 < each < 1 for each in found)
    assert found != probabilities(tagger, Image.new("RGB", (30, 20), "blue"))


def test_too_narrow_a_picture_is_named(tmp_path):
    file = tmp_path / "x.pt"
    torch.save(danbooru(), file)
    with pytest.raises(InvalidRequest, match="image"):
        probabilities(load_danbooru(file, torch.float32), Image.new("RGB", (20000, 1)))


def changed(**changes):
    state = danbooru() | changes
    return {name: each for name, each in state.items() if each is not None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(tags=None), "no list of tags"),
        (changed(tags=["a"]), "4 tags apart and names 1"),
        (changed(tags=[1, 2]), "no list of tags"),
        ([1], "no list of tags"),
        (changed(**{"n_Conv_3.weight": None}), "lacks some"),
        (changed(**{"n_Conv_3.bias": None}), "n_Conv_3.bias.*missing"),
        (changed(**{"other.weight": torch.ones(1)}), "does not belong"),
        (changed(**{"n_Conv_3.weight": torch.ones(4)}), "is no convolution"),
        (changed(**{"n_Conv_3.bias": torch.ones(5)}), "has shape"),
        (changed(**{"n_Conv_3.weight": torch.ones(4, 9, 3, 3)}), "does not follow"),
        (changed(**{"n_Conv_3.weight": torch.ones(4, 4, 5, 5)}), "begins no block"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    file = tmp_path / "wrong.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_danbooru(file, torch.float32)
    assert "wrong.pt" in str(caught.value)


@pytest.mark.slow
def test_the_network_at_its_true_size():
    """161 million weights, once through."""
    torch.manual_seed(0)
    state = weights(danbooru(STAGES, 64, tuple(map(str, range(9176)))))
    made = build(state, "x")(torch.rand(1, 3, 512, 512))
    assert made.shape == (1, 9176)
    assert not made.isnan().any()
