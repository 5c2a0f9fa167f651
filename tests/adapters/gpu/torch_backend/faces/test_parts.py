"""What the parts of CodeFormer and GFPGAN compute, worked out once more from the papers in plain
functions over the same random tensors, as far as the borders."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces import codeformer, gfpgan, stylegan, vqgan

pytestmark = pytest.mark.torch


def filled(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Random numbers in a network, so spread that signals stay; by name."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        numbers = torch.randn(tensor.shape, generator=generator)
        fan = max(1, tensor[0].numel()) if tensor.dim() > 1 else 10
        tensor.copy_(numbers / fan**0.5 + (tensor.dim() == 1 and name.endswith("weight")))
    network.requires_grad_(False)
    return dict(network.state_dict())


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(9))


def around(x: Tensor, state: dict[str, Tensor], name: str, step: int = 1) -> Tensor:
    """A 3x3 convolution over borders of zeros."""
    x = functional.pad(x, (1, 1, 1, 1))
    return functional.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), step)


def point(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """A 1x1 convolution."""
    y = torch.einsum("nchw,oc->nohw", x, state[f"{name}.weight"][:, :, 0, 0])
    bias = state.get(f"{name}.bias")
    return y if bias is None else y + bias[:, None, None]


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def grouped(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """32 groups, each with a mean of 0 and a variance of 1."""
    groups = x.reshape(x.shape[0], 32, -1)
    mean, variance = groups.mean(-1, keepdim=True), groups.var(-1, keepdim=True, unbiased=False)
    y = ((groups - mean) / (variance + 1e-6).sqrt()).view_as(x)
    return y * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def bent(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("made", [32, 64])
@pytest.mark.parametrize("quiet", [1.0, 1e-3])
def test_a_residual_block(made: int, quiet: float) -> None:
    """Esser et al., appendix; of faint features too, where what is added to variances counts."""
    block = vqgan.Residual(32, made)
    state, x = filled(block), drawn(1, 32, 6, 5) * quiet
    y = around(swish(grouped(x, state, "norm1")), state, "conv1")
    y = around(swish(grouped(y, state, "norm2")), state, "conv2")
    close(block(x), y + (x if made == 32 else point(x, state, "conv_out")))


def test_attention_between_places() -> None:
    block = vqgan._Attention(32)
    state, x = filled(block), drawn(1, 32, 3, 5)
    normed = grouped(x, state, "norm")
    q, k, v = (point(normed, state, name).flatten(2)[0] for name in "qkv")
    shares = ((q.T @ k) / math.sqrt(32)).softmax(-1)  # of each place, of all places
    close(block(x), x + point((v @ shares.T).view_as(x), state, "proj_out"))


def test_halving_and_doubling() -> None:
    """The zeros that halving needs lie to the right and below alone."""
    block = vqgan.Halving(3)
    state, x = filled(block), drawn(1, 3, 6, 8)
    padded = functional.pad(x, (0, 1, 0, 1))
    cells = padded.unfold(2, 3, 2).unfold(3, 3, 2)
    expected = torch.einsum("nchwij,ocij->nohw", cells, state["conv.weight"])
    close(block(x), expected + state["conv.bias"][:, None, None])
    other = vqgan.Doubling(3)
    state = filled(other)
    close(other(x), around(doubled(x), state, "conv"))


def test_a_layer_of_the_transformer() -> None:
    """Zhou et al., section 3.2: places are told to queries and keys, not to values."""
    layer = codeformer._Layer(16, 24)
    state, x, places = filled(layer), drawn(7, 1, 16), drawn(7, 1, 16) * 2

    def normed(y: Tensor, name: str) -> Tensor:
        mean, variance = y.mean(-1, keepdim=True), y.var(-1, keepdim=True, unbiased=False)
        y = (y - mean) / (variance + 1e-5).sqrt()
        return y * state[f"{name}.weight"] + state[f"{name}.bias"]

    value = normed(x, "norm1")
    given = (value + places, value + places, value)
    weights = state["self_attn.in_proj_weight"].chunk(3)
    biases = state["self_attn.in_proj_bias"].chunk(3)
    q, k, v = (
        (each[:, 0] @ weight.T + bias).view(7, 8, 2).transpose(0, 1)  # heads, places, width
        for each, weight, bias in zip(given, weights, biases, strict=True)
    )
    seen = ((q @ k.mT) / math.sqrt(2)).softmax(-1) @ v
    y = x + linear(seen.transpose(0, 1).reshape(7, 1, 16), state, "self_attn.out_proj")
    inner = linear(normed(y, "norm2"), state, "linear1")
    gelu = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
    close(layer(x, places), y + linear(gelu, state, "linear2"))


def test_fusion() -> None:
    """Section 3.3: drawn + w (drawn scale + shift), both told by what was seen and drawn."""
    fusion = codeformer._Fusion.__new__(codeformer._Fusion)
    nn.Module.__init__(fusion)
    fusion.encode_enc = vqgan.Residual(64, 32)
    for part in ("scale", "shift"):
        convolutions = [nn.Conv2d(32, 32, 3, padding=1) for _ in range(2)]
        fusion.add_module(part, nn.Sequential(convolutions[0], nn.LeakyReLU(0.2), convolutions[1]))
    numbers = filled(fusion)
    state = codeformer.FaceTensors("x.pth", {f"f.{name}": each for name, each in numbers.items()})
    made = codeformer._Fusion(state, "f.")
    made.load_state_dict(numbers)
    seen, x = drawn(2, 1, 32, 5, 4)
    both = made.encode_enc(torch.cat((seen, x), 1))
    scale, shift = (
        around(bent(around(both, numbers, f"{part}.0")), numbers, f"{part}.2")
        for part in ("scale", "shift")
    )
    with torch.inference_mode():
        close(made(seen, x, 0.5), x + 0.5 * (x * scale + shift))


@pytest.mark.parametrize("down", [True, False])
def test_a_block_of_gfpgans_unet(down: bool) -> None:
    """Sides are changed bilinearly, cells' middles and not their corners on each other."""
    block = gfpgan._Block(3, 5, down=down)
    state, x = filled(block), drawn(1, 3, 6, 8)

    def resized(y: Tensor) -> Tensor:
        if down:
            return y.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        for side in (2, 3):
            first, last = y.narrow(side, 0, 1), y.narrow(side, y.shape[side] - 1, 1)
            length = y.shape[side]
            before = torch.cat((first, y.narrow(side, 0, length - 1)), side)
            behind = torch.cat((y.narrow(side, 1, length - 1), last), side)
            pair = torch.stack((y * 0.75 + before * 0.25, y * 0.75 + behind * 0.25), side + 1)
            y = pair.flatten(side, side + 1)
        return y

    y = bent(around(resized(bent(around(x, state, "conv1"))), state, "conv2"))
    close(block(x), y + point(resized(x), state, "skip"))


def test_a_styled_convolution() -> None:
    """Karras et al., equations 1 to 3; the root of 2, noise, bias and leaky ReLU behind it."""
    layer = stylegan._Styled(6, 4, 5)
    state, x, style, noise = filled(layer), drawn(1, 4, 5, 3), drawn(6), drawn(1, 1, 5, 3)
    name = "modulated_conv"
    scale = state[f"{name}.modulation.weight"] @ style + state[f"{name}.modulation.bias"]
    weight = state[f"{name}.weight"][0] * scale[:, None, None]
    weight = weight / (weight**2).sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
    y = around(x, {"w.weight": weight}, "w") * 2**0.5
    y = bent(y + state["weight"] * noise + state["bias"])
    close(layer(x, style, lambda height, width: noise), y)


def test_colour() -> None:
    """Scaled by the style, and not brought back to its spread."""
    layer = stylegan._ToColour(6, 4)
    state, x, style = filled(layer), drawn(1, 4, 5, 3), drawn(6)
    name = "modulated_conv"
    scale = state[f"{name}.modulation.weight"] @ style + state[f"{name}.modulation.bias"]
    y = point(x * scale[:, None, None], {"w.weight": state[f"{name}.weight"][0]}, "w")
    close(layer(x, style), y + state["bias"])
