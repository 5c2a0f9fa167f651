"""Train Approx NN for the starter: what its previews are drawn with. A few minutes on one core.

The task is to do what the decoder does, at a quarter of the size, so no pictures are needed but
latents: those of the world with some noise, and what the UNet takes half-denoised ones for, since
that is what a preview shows. The targets are the decoder's own pictures, averaged over 4 x 4.
"""

import json
import os
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn.functional import avg_pool2d

from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.approximation import Approximation

from .captions import caption
from .drawing import Artist
from .latents import SCALE_FACTOR, encode
from .sampler import rows_of
from .schedule import alphas_cumprod
from .world import picture_number, render

ASSET = Path("adapters/gpu/torch_backend/decoding/small_decoders/starter.safetensors")
STREAM = 4711  # of pictures: neither the diffusion model's nor the decoder's
SIDE, BATCH, RATE = 128, 16, 5e-4
CARRIED = 3  # channels that bring the linear map's colours from the first layer to the last
NOISES = (0.0, 0.05, 0.15, 0.3)


def _world(first: int, count: int) -> tuple[torch.Tensor, list[str]]:
    """Latents [count, 4, 16, 16] of fresh pictures, and their captions."""
    images, texts = [], []
    for index in range(first, first + count):
        picture, rng = picture_number(index, STREAM)
        images.append(np.asarray(render(picture, SIDE, rng)))
        texts.append(caption(picture, rng))
    return torch.from_numpy(encode(np.stack(images))), texts


@torch.no_grad()
def predicted(artist: Artist, latents, texts, generator, cfg: float = 7.0) -> torch.Tensor:
    """What the UNet takes noised latents for, each at a random time, guided as in use."""
    table = alphas_cumprod()
    times = torch.randint(50, 1000, (len(latents),), generator=generator)
    kept = table[times][:, None, None, None]
    noise = torch.randn(latents.shape, generator=generator)
    noised = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    context = artist.model.text(rows_of([*texts, *[""] * len(texts)]))
    rows = torch.cat([noised, noised]), times.float().repeat(2), context
    text, empty = artist.model.unet(*rows).chunk(2)
    eps = empty + cfg * (text - empty)
    return (noised - (1 - kept).sqrt() * eps) / kept.sqrt()


@torch.no_grad()
def decoded(artist: Artist, latents: torch.Tensor) -> torch.Tensor:
    """The decoder's pictures [n, 3, 8h, 8w], -1 to 1."""
    return artist.decoder(artist.post(latents / SCALE_FACTOR)).clamp(-1, 1)


def examples(artist: Artist, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch `number`: latents, and what to make of them. Every other one is of predictions."""
    generator = torch.Generator().manual_seed(number)
    latents, texts = _world(number * BATCH, BATCH)
    if number % 2:
        latents = predicted(artist, latents, texts, generator)
    else:
        strength = NOISES[number // 2 % len(NOISES)]
        latents = latents + strength * torch.randn(latents.shape, generator=generator)
    return latents, avg_pool2d(decoded(artist, latents), 4)


def load_or_make(
    artist: Artist, folder: Path, batches: int, progress: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    """So many batches of `examples`, kept in `folder`: they take as long as the training."""
    path = folder / f"preview-{batches}.safetensors"
    if not path.exists():
        numbers = progress.track(range(batches), description="decode")
        made = [examples(artist, number) for number in numbers]
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        save_file(
            {
                "latents": torch.cat([latents for latents, _ in made]).contiguous(),
                "pictures": torch.cat([pictures for _, pictures in made]).contiguous(),
            },
            part,
        )
        part.replace(path)
    kept = load_file(path)
    return kept["latents"], kept["pictures"]


@torch.no_grad()
def as_linear_map(network: Approximation, factors, bias) -> None:
    """Let the network begin as the map that "Approx cheap" is, each cell doubled.

    `factors` has a row for each latent channel, `bias` is added. The first three channels carry
    the colours, lifted above zero where LeakyReLU leaves them alone; the last two layers undo the
    bend: -10 * leaky(-c) is c before one more of them.

    What carries stays so: only the other channels learn, and what the last but one layer makes of
    all. So training adds to the map, and does not have to find it again."""
    layers = list(network.children())
    lift = 4.0
    for layer in layers:
        torch.nn.init.kaiming_normal_(layer.weight, a=0.1)
        torch.nn.init.zeros_(layer.bias)
        layer.weight[:CARRIED] = 0
        middle = layer.weight.shape[-1] // 2
        if layer is layers[0]:
            layer.weight[:CARRIED, :, middle, middle] = torch.tensor(factors).T
            layer.bias[:CARRIED] = torch.tensor(bias) + lift
        else:
            gain = {layers[-2]: -1.0, layers[-1]: -10.0}.get(layer, 1.0)
            layer.weight[:CARRIED, :CARRIED, middle, middle] = gain * torch.eye(3)
    layers[-2].bias[:CARRIED] = lift
    for layer in layers[:-2]:
        for tensor in (layer.weight, layer.bias):
            tensor.register_hook(_but_the_carried)
    layers[-1].requires_grad_(False)


def _but_the_carried(gradient: torch.Tensor) -> torch.Tensor:
    gradient = gradient.clone()
    gradient[:CARRIED] = 0
    return gradient


def _error(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Of what is seen; what lies beyond black and white counts a little, lest it stay there."""
    seen = (made.clamp(-1, 1) - wanted).abs().mean()
    return seen + 0.02 * (made - wanted).abs().mean()


def fit(latents, targets, network: Approximation, steps: int, progress: Progress) -> None:
    """Adam with a warm start and a cosine end; the loss is `_error`."""
    torch.manual_seed(0)
    learned = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=RATE)
    task = progress.add_task("fit", total=steps)
    for step in range(steps):
        rate = min(1.0, (step + 1) / 50) * (1 + np.cos(np.pi * step / steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate
        rows = torch.randint(len(latents), (BATCH,))
        loss = _error(network(latents[rows]), targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress.update(task, advance=1, description=f"fit, error {loss:.4f}")
        if step % 100 == 0:
            progress.console.print(f"step {step}, error {loss:.4f}")


def train_preview(
    folder: Path,
    file: Path,
    target: Path = ASSET,
    steps: int = 1500,
    batches: int = 100,
    threads: int = 1,
) -> float:
    """Write `target` for the checkpoint `file`; returns the mean error over batches kept back,
    of colours from -1 to 1."""
    torch.set_num_threads(threads)
    artist = Artist(file)
    with Progress() as progress:
        network = Approximation()
        torch.manual_seed(0)
        metadata = _map_of(file)
        as_linear_map(network, *(json.loads(text) for text in metadata.values()))
        fit(*load_or_make(artist, folder, batches, progress), network, steps, progress)
    kept_back = [examples(artist, number) for number in range(batches, batches + 2)]
    with torch.no_grad():
        errors = [(network(x).clamp(-1, 1) - y).abs().mean().item() for x, y in kept_back]
    _save(network, metadata, target)
    return float(np.mean(errors))


def _map_of(file: Path) -> dict[str, str]:
    """What a checkpoint's metadata says of its latents' colours."""
    with safe_open(file, framework="pt") as source:
        known = source.metadata()
    return {name: known[name] for name in ("latent_rgb_factors", "latent_rgb_bias")}


def _save(network: Approximation, latents: dict[str, str], target: Path) -> None:
    """In half precision. `latents` says in its metadata whose latents it is for."""
    part = target.with_suffix(".part")
    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, part, {**latents, "modelspec.license": "Apache-2.0"})
    part.chmod(0o644)
    os.replace(part, target)
