"""LoRA, hypernetworks and embeddings made for tests, in the layouts people have."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Deltas = Mapping[str, tuple[Tensor, Tensor]]
"""(up, down) of a checkpoint's tensors, by their original names."""

RANK = 2
ALPHA = 1.0


def deltas(layout: Mapping[str, tuple[int, ...]], names: Iterable[str], seed: int = 0) -> Deltas:
    """Random ones, loud enough to be seen."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    return {name: (draw(layout[name][0], RANK), draw(RANK, *layout[name][1:])) for name in names}


def product(up: Tensor, down: Tensor) -> Tensor:
    """What a LoRA adds at multiplier 1."""
    return (up @ down.flatten(1)).reshape(len(up), *down.shape[1:]) * (ALPHA / RANK)


def kohya(found: Deltas) -> dict[str, Tensor]:
    """As kohya's scripts name SDXL's layers, and A1111 others': by the original path."""
    tensors: dict[str, Tensor] = {}
    for name, (up, down) in found.items():
        path = name.removesuffix(".weight")
        path = path.removeprefix("model.").removeprefix("cond_stage_model.")
        layer = path.removeprefix("conditioner.embedders.").replace(".", "_")
        layer = layer.replace("diffusion_model_", "lora_unet_", 1)
        tensors[f"{layer}.lora_up.weight"] = up.reshape(len(up), RANK, *[1] * (down.ndim - 2))
        tensors[f"{layer}.lora_down.weight"] = down
        tensors[f"{layer}.alpha"] = torch.tensor(ALPHA)
    return tensors


def write_lora(path: Path, found: Deltas) -> Path:
    save_file(kohya(found), path)
    return path
