"""Small networks of every kind, with random weights, as files have them."""

import importlib
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.upscale import spandrel_networks
from hexfusion.adapters.gpu.torch_backend.upscale.compact import Compact
from hexfusion.adapters.gpu.torch_backend.upscale.rrdb import RRDBNet

State = dict[str, Tensor]

needs_spandrel = pytest.mark.skipif(
    importlib.util.find_spec("spandrel") is None, reason="spandrel is absent"
)


def seeded(module: nn.Module, seed: int = 0, spread: float = 0.1) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(tensor.shape, generator=generator) * spread
        for name, tensor in module.state_dict().items()
    }


def esrgan(doublings: int = 2, unshuffle: int = 1, seed: int = 0, growth: int = 4) -> State:
    """By Real-ESRGAN's names."""
    return seeded(RRDBNet(8, growth, 2, doublings, unshuffle), seed)


def compact(scale: int = 4) -> State:
    return seeded(Compact(8, 3, scale))


def old_names(state: State) -> State:
    """As ESRGAN's own files have them, of a network with two blocks and two doublings."""
    ends = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6"}
    ends |= {"conv_hr": "8", "conv_last": "10"}
    named = {}
    for name, tensor in state.items():
        first, *rest = name.split(".")
        if first == "body":
            block, dense, conv, kind = rest
            named[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"] = tensor
        else:
            named[f"model.{ends[first]}.{rest[0]}"] = tensor
    return named


def bsrgan_names(state: State) -> State:
    names = {"conv_body": "trunk_conv", "conv_up": "upconv", "conv_hr": "HRconv"}
    named = {}
    for name, tensor in state.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        named[name.replace("body.", "RRDB_trunk.").replace(".rdb", ".RDB")] = tensor
    return named


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def of_spandrel(family: str) -> tuple[State, int]:
    """A small network of one of spandrel's families, and its scale."""
    spandrel_networks.library("")
    module = importlib.import_module(f"spandrel.architectures.{family}")
    match family:
        case "SCUNet":
            return with_buffers(module.SCUNet(in_nc=3, config=[1] * 7, dim=64)), 1
        case "DAT":
            size = {"embed_dim": 32, "depth": [2], "num_heads": [2], "split_size": [8, 8]}
            return with_buffers(module.DAT(**size, img_size=64, upscale=2)), 2
        case _:
            size = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8}
            upsampler = {"upsampler": "pixelshuffledirect", "upscale": 2}
            return with_buffers(module.SwinIR(**size, **upsampler, img_size=64)), 2


def with_buffers(module: nn.Module) -> State:
    """Random parameters; what else a file holds, such as masks, as it is."""
    names = {name for name, _ in module.named_parameters()}
    random = seeded(module, spread=0.02)
    return {
        name: random[name] if name in names else tensor
        for name, tensor in module.state_dict().items()
    }
