"""Train the captioner, on one core in a quarter of an hour, and write the file that ships.

It sees renders, renders that went through the checkpoint's own decoder, and pictures that the
checkpoint drew, all bent, blurred and made noisy a little.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import Progress, TextColumn, track
from safetensors.torch import save_file
from torch.nn import functional as F

from .caption_pictures import COLOUR_NAMES, GROUNDS, HEADS, KINDS, NOTHING, training_picture
from .captioner import ASSET, SIDE, Captioner, folded, loss_of, right
from .drawing import Artist
from .judge import judge, prompt_for
from .latents import encode
from .vae import decoder_features
from .world import triples

POOL_SIDE = 80  # pictures are kept a little larger than they are looked at
SEED, CHECK_SEED = 101, 102  # streams of pictures to learn from, and to check with
BATCH = 64

Pool = tuple[torch.Tensor, torch.Tensor]  # uint8 [n, 3, 80, 80], int64 [n, 6]


def _pool(images: list[Image.Image], labels: list[tuple[int, ...]]) -> Pool:
    small = [each.resize((POOL_SIDE, POOL_SIDE), Image.Resampling.BOX) for each in images]
    pixels = torch.from_numpy(np.stack([np.asarray(each) for each in small]))
    return pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def rendered(count: int, seed: int, say: str = "rendering") -> Pool:
    """The first `count` pictures of a stream."""
    made = [training_picture(k, seed, POOL_SIDE) for k in track(range(count), say)]
    return _pool([each.image for each in made], [each.labels for each in made])


@torch.no_grad()
def decoded(artist: Artist, count: int, seed: int) -> Pool:
    """Renders of 128 px through the checkpoint's autoencoder, the latents disturbed a little."""
    rng, images, labels = np.random.default_rng(seed), [], []
    generator = torch.Generator().manual_seed(seed)
    for first in track(range(0, count, 8), "decoding"):
        made = [training_picture(first + k, seed, 128) for k in range(8)]
        latents = torch.from_numpy(encode(np.stack([np.asarray(each.image) for each in made])))
        shape = latents.shape
        fine = torch.randn(shape, generator=generator) * float(rng.choice([0.0, 0.05, 0.12]))
        coarse = torch.randn((*shape[:2], 4, 4), generator=generator) * float(rng.uniform(0, 0.15))
        latents = latents + fine + F.interpolate(coarse, shape[2:], mode="bicubic")
        pixels = artist.decoder(decoder_features(latents)).clamp(-1, 1).add(1).mul(127.5).round()
        images += [Image.fromarray(p.permute(1, 2, 0).byte().numpy()) for p in pixels]
        labels += [each.labels for each in made]
    return _pool(images, labels)


def drawn(artist: Artist, count: int, seed: int) -> Pool:
    """What the checkpoint draws at 128 px for prompts of the training triples.

    The prompt is believed for ground and colour where the judge agrees, likewise for the kind.
    """
    rng, all_triples = np.random.default_rng(seed), triples(want_held_out=False)
    images, labels = [], []
    for first in track(range(0, count, 8), "drawing"):
        wanted = [all_triples[int(rng.integers(len(all_triples)))] for _ in range(8)]
        prompts = [prompt_for(*each) for each in wanted]
        made = artist.draw(prompts, 128, range(10_000 + first, 10_008 + first), steps=10)
        for image, (kind, colour, ground) in zip(made, wanted, strict=True):
            seen = judge(image)
            images.append(image)
            labels.append((
                1,
                GROUNDS.index(ground) if seen.ground == ground else NOTHING,
                KINDS.index(kind) if seen.kind == kind else NOTHING,
                COLOUR_NAMES.index(colour) if seen.colour == colour else NOTHING,
                NOTHING,
                NOTHING,
            ))  # fmt: skip
    return _pool(images, labels)


def disturbed(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """uint8 [n, 3, 80, 80] -> [n, 3, 64, 64] in -1..1: moved, bent, blurred, noisy, tinted."""
    n = len(pixels)

    def uniform(*shape, low=-1.0, high=1.0):
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    def sometimes(share):
        return (torch.rand(n, 1, 1, 1, generator=generator) < share).float()

    x = pixels.float().div_(127.5).sub_(1)
    grid = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 3, SIDE, SIDE], align_corners=False)
    grid = grid * uniform(1, 1, 2, low=0.9, high=1.08) + uniform(1, 1, 2) * 0.06
    bend = F.interpolate(uniform(2, 6, 6), (SIDE, SIDE), mode="bicubic", align_corners=True)
    bend = bend * sometimes(0.6) * uniform(1, 1, 1, low=0.0, high=0.1)
    x = F.grid_sample(x, grid + bend.permute(0, 2, 3, 1), padding_mode="border",
                      align_corners=False)  # fmt: skip
    sigma = float(torch.rand(1, generator=generator)) * 1.8
    if sigma > 0.6:
        taps = torch.arange(-4, 5).float().div(sigma).square().mul(-0.5).exp()
        taps = (taps / taps.sum()).expand(3, 1, 1, 9)
        blurred = F.conv2d(F.pad(x, (4, 4, 4, 4), mode="replicate"), taps, groups=3)
        blurred = F.conv2d(blurred, taps.transpose(2, 3), groups=3)
        x = torch.lerp(x, blurred, sometimes(0.5))
    x = x * uniform(3, 1, 1, low=0.92, high=1.08) + uniform(3, 1, 1) * 0.06
    grain = torch.randn(x.shape, generator=generator) * uniform(1, 1, 1, low=0, high=0.12)
    coarse = torch.randn(n, 3, 16, 16, generator=generator) * uniform(1, 1, 1, low=0, high=0.12)
    x = x + grain * sometimes(0.4) + F.interpolate(coarse, (SIDE, SIDE)) * sometimes(0.4)
    return x.clamp_(-1, 1)


def _batch(pools: dict[str, Pool], shares: dict[str, float], rng) -> Pool:
    """A batch with each pool's share."""
    names = rng.choice(list(pools), BATCH, p=[shares[name] for name in pools])
    picks = [(pools[name], int(rng.integers(len(pools[name][1])))) for name in names]
    return (
        torch.stack([pool[0][k] for pool, k in picks]),
        torch.stack([pool[1][k] for pool, k in picks]),
    )


def plain(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [n, 3, s, s] -> what the net reads, undisturbed."""
    return F.interpolate(pixels.float(), (SIDE, SIDE), mode="area").div_(127.5).sub_(1)


def train_captioner(
    minutes: float,
    checkpoint: Path,
    target: Path = ASSET,
    *,
    renders: int = 24_000,
    decodes: int = 480,
    drawings: int = 160,
    checks: int = 600,
    rate: float = 2e-3,
    seed: int = SEED,
) -> Path:
    """Make the pictures, learn for `minutes` of a core's time, write `target`.

    Every thousand steps it tells the share that is right of undisturbed renders of another stream,
    and writes what there is.
    """
    torch.manual_seed(seed)
    pools = {"rendered": rendered(renders, seed)}
    shares = {"rendered": 1.0}
    if decodes and drawings:
        artist = Artist(checkpoint)
        pools["decoded"], pools["drawn"] = decoded(artist, decodes, 7), drawn(artist, drawings, 9)
        shares = {"rendered": 0.6, "decoded": 0.25, "drawn": 0.15}
    check_pixels, check_labels = rendered(checks, CHECK_SEED, "to check with")
    model = Captioner().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    seen, step, started = 0, 0, time.process_time()
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[told]}"))
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=minutes * 60, told="")
        while (elapsed := time.process_time() - started) < minutes * 60:
            share = elapsed / (minutes * 60)
            warm = min(1.0, (step + 1) / 200)
            for group in optimiser.param_groups:
                group["lr"] = rate * warm * (1 - share) ** 1.2
            pixels, labels = _batch(pools, shares, rng)
            loss = loss_of(model(disturbed(pixels, generator)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step, seen = step + 1, seen + len(labels)
            if step % 20 == 0:
                progress.update(task, completed=elapsed)
            if step % 1000 == 0:
                hits = _share(model, check_pixels, check_labels)
                told = f"{seen:,} seen, loss {loss.item():.2f}, right {hits:.1%}"
                progress.update(task, told=told)
                progress.console.print(told)
                export(model, target, seen, hits)
    return export(model, target, seen, _share(model, check_pixels, check_labels))


@torch.no_grad()
def _share(model: Captioner, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    hits = right(model(plain(pixels)), labels).float().mean().item()
    model.train()
    return hits


def export(model: Captioner, target: Path, seen: int, share: float) -> Path:
    """Write the folded net in half precision, with the words of its answers."""
    layouts, grounds, kinds, colours, *_ = HEADS
    metadata = {
        "modelspec.title": "Hexfusion starter captioner",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "Tells what is on a picture of the starter's world",
        "hexfusion.pictures_seen": str(seen),
        "hexfusion.right_of_renders": f"{share:.4f}",
        "hexfusion.side": str(SIDE),
        "hexfusion.layouts": json.dumps(layouts),
        "hexfusion.grounds": json.dumps(grounds),
        "hexfusion.kinds": json.dumps(kinds),
        "hexfusion.colours": json.dumps(colours),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    save_file({name: tensor.half() for name, tensor in folded(model).items()}, part, metadata)
    part.chmod(0o644)
    os.replace(part, target)
    return target
