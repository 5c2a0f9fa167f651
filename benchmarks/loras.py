"""What the ways of applying a LoRA cost: python -m benchmarks.loras [--small] [--device cuda]

One UNet of random weights at SD1.5's true size, one LoRA of rank 16 for all its attention and
feed-forward layers. docs/adr/0013 has figures and what was chosen.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmarks import harness
from hexfusion.adapters.gpu.torch_backend.architectures.builders import build_unet, predict
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.patches.additions import Additions, adding
from hexfusion.adapters.gpu.torch_backend.patches.lora_kinds import kind_of
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Change, Layer, MergedWeights
from tests.adapters.gpu.torch_backend.layouts import SD15, SMALL, random_tensors, sd1_layout

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

RANK = 16


def unet_of(small: bool, device: torch.device, dtype: torch.dtype) -> "UNet2DConditionModel":
    sizes: dict[str, Any] = SMALL if small else SD15
    layout = sd1_layout(**sizes)
    found = infer_architecture(Shapes("m", layout), OriginalConfig())
    mine = {name: shape for name, shape in layout.items() if name.startswith("model.diff")}
    return build_unet(found.unet, Weights("m", random_tensors(mine)), device, dtype)


def changes_for(unet: nn.Module) -> dict[Layer, list[Change]]:
    """A LoRA as kohya's scripts make them by default."""
    changes: dict[Layer, list[Change]] = {}
    for name, layer in unet.named_modules():
        if isinstance(layer, nn.Linear) and ".transformer_blocks." in name:
            up = torch.randn(layer.out_features, RANK).to(layer.weight) * 0.01
            down = torch.randn(RANK, layer.in_features).to(layer.weight) * 0.01
            parts = {"lora_up.weight": up, "lora_down.weight": down}
            kind = kind_of(parts)
            assert kind is not None
            changes[layer] = [Change(0, kind, parts, 1.0)]
    return changes


@contextmanager
def swapped(weights: dict[Layer, Tensor]) -> Iterator[None]:
    """The other way: write merged weights into the shared network, and the old ones back."""
    before = {layer: layer.weight.data for layer in weights}
    for layer, weight in weights.items():
        layer.weight.data = weight
    try:
        yield
    finally:
        for layer, weight in before.items():
            layer.weight.data = weight


@contextmanager
def on_activations(changes: dict[Layer, list[Change]]) -> Iterator[None]:
    """And another: up(down(x)) beside each layer; no other kind of LoRA can be had so."""

    def beside(parts: dict[str, Tensor]) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        up, down = parts["lora_up.weight"], parts["lora_down.weight"]
        return lambda module, args, out: out + (args[0] @ down.T) @ up.T

    hooks = [
        layer.register_forward_hook(beside(dict(change.parts)))
        for layer, (change,) in changes.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def fastest(
    ways: dict[str, Callable[[], object]], device: torch.device, times: int
) -> dict[str, float]:
    """Seconds of each, in turns, so that what else the machine does hits all alike.

    On the CPU it is the process's own time.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(times):
        for name, way in ways.items():
            start = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            best[name] = min(best[name], clock() - start)
    return best


@torch.inference_mode()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=256, help="of the picture, pixels")
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args(argv)
    device = torch.device(arguments.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    unet = unet_of(arguments.small, device, dtype)
    width = unet.config.cross_attention_dim
    side = arguments.side // 8
    x = torch.randn(2, 4, side, side, device=device)
    t, context = torch.tensor([500.0] * 2, device=device), torch.randn(2, 77, width, device=device)
    changes = changes_for(unet)

    def call() -> Tensor:
        return predict(unet, x, t, context)

    start = time.perf_counter()
    kept = MergedWeights(changes, budget=1 << 40)
    if device.type == "cuda":
        torch.cuda.synchronize()
    merging = time.perf_counter() - start
    weights = {layer: kept.of(layer)[0] for layer in changes}
    size = sum(weight.nbytes for weight in weights.values())
    made = MergedWeights(changes, budget=0)

    def within(context: Callable[[], AbstractContextManager[None]]) -> Callable[[], None]:
        def way() -> None:
            with context():
                call()

        return way

    ways: dict[str, Callable[[], object]] = {
        "without a LoRA": call,
        "merged once, looked up by each layer (ours)": within(
            lambda: adding(Additions(merged=kept))
        ),
        "merged at each call (ours, where memory is short)": within(
            lambda: adding(Additions(merged=made))
        ),
        "merged once, swapped in for each call": within(lambda: swapped(weights)),
        "beside each layer, on activations": within(lambda: on_activations(changes)),
    }
    call()
    rows = fastest(ways, device, arguments.times)
    plain = rows["without a LoRA"]
    console = harness.console()
    console.print(f"{len(changes)} layers, merged in {merging:.2f} s, {size / 2**20:.0f} MiB")
    for name, took in rows.items():
        console.print(f"{took * 1000:9.1f} ms  {(took / plain - 1) * 100:+6.1f} %  {name}")


if __name__ == "__main__":
    main()
