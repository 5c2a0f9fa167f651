"""How near the previews' methods come to the VAE, on the starter: python -m benchmarks.previews

Held-out prompts are drawn, and every step is shown by every method. Each preview is enlarged to the
picture's size and compared with the VAE's: the mean absolute error of 8-bit colours. docs/adr/0016
has the figures.
"""

import argparse
import threading
import time
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Resampling
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.decoding.previews import Previews
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.domain.plan import PreviewMethod, PreviewPlan
from tools.starter.drawing import Artist
from tools.starter.judge import held_out_prompts
from tools.starter.sampler import rows_of
from tools.starter.schedule import alphas_cumprod

STARTER = Path("adapters/storage/assets/hexfusion-starter.safetensors")
METHODS: tuple[PreviewMethod, ...] = ("Full", "Approx NN", "Approx cheap")
#: Training times at which a run is looked at: 1000 is nothing but noise.
TIMES = (900, 700, 500, 300, 100)


@torch.inference_mode()
def predictions(artist: Artist, prompt: str, side: int, seed: int, cfg: float = 7.0) -> Tensor:
    """What the UNet takes one run's latents for at each of TIMES: (times, 4, side/8, side/8)."""
    table, seen = alphas_cumprod(), []
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 4, side // 8, side // 8, generator=generator)
    context = artist.model.text(rows_of([prompt, ""]))
    steps = torch.arange(980, 0, -40).tolist()
    for step, after in zip(steps, [*steps[1:], 0], strict=True):
        kept, next_kept = table[step], table[after] if after else torch.tensor(1.0)
        both = torch.cat([x, x]), torch.full((2,), float(step)), context
        text, empty = artist.model.unet(*both).chunk(2)
        eps = empty + cfg * (text - empty)
        clean = (x - (1 - kept).sqrt() * eps) / kept.sqrt()
        if any(abs(step - wanted) <= 20 for wanted in TIMES):
            seen.append(clean)
        x = next_kept.sqrt() * clean + (1 - next_kept).sqrt() * eps
    return torch.cat(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    args = parser.parse_args()
    torch.set_num_threads(1)
    artist, model = Artist(STARTER), load_checkpoint(STARTER)
    small = SmallDecoders(None, torch.device("cpu"), torch.float32)
    table = Table("pixels", "method", "mean error, of 255", "worst picture", "ms a picture")
    for side in args.sizes:
        prompts = [prompt for prompt, _ in held_out_prompts(args.prompts)]
        shown = torch.cat([predictions(artist, p, side, n) for n, p in enumerate(prompts)])
        truth: np.ndarray | None = None
        for method in METHODS:
            previews = Previews(PreviewPlan(method=method), small, threading.Lock())
            started = time.process_time()
            pictures = [previews.picture(model, latent[None]) for latent in shown]
            took = (time.process_time() - started) / len(shown)
            enlarged = [each.resize((side, side), Resampling.BICUBIC) for each in pictures]
            colours = np.stack([np.asarray(each, np.float32) for each in enlarged])
            truth = colours if truth is None else truth
            errors = np.abs(colours - truth).mean((1, 2, 3))
            row = f"{errors.mean():.2f}", f"{errors.max():.2f}", f"{took * 1000:.1f}"
            table.add_row(str(side), method, *row)
    Console().print(table)


if __name__ == "__main__":
    main()
