"""Train the decoder on crops and whole pictures from the fixed latents; resumable."""

import json
import time
from pathlib import Path

import numpy as np
import torch

from .latents import encode
from .optim import build_optimisers, set_rate
from .vae import Decoder, decoder_features
from .world import picture_number, render

CROP = 64  # pixels


def _images(rng, count: int, crop: bool) -> np.ndarray:
    """uint8 [count, s, s, 3]: fresh pictures of 128 or 256 px, as 64 px crops on the block grid."""
    out = []
    while len(out) < count:
        side = 256 if crop and rng.random() < 0.5 else 128
        picture, own = picture_number(int(rng.integers(2**31)), 77)
        image = np.asarray(render(picture, side, own))
        if not crop:
            out.append(image)
            continue
        for _ in range(2):
            y, x = 8 * rng.integers(0, (side - CROP) // 8 + 1, 2)
            out.append(image[y : y + CROP, x : x + CROP])
    return np.stack(out[:count])


def _loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    error = output - target
    return error.abs().mean() + 2 * error.square().mean()


def train_decoder(
    folder: Path, minutes: float, decay_minutes: float, fine: bool, lr: float = 2e-3, device="cpu",
    threads: int = 1,
) -> None:  # fmt: skip
    """`fine` trains the full-resolution blocks too (about twice the work per crop)."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    decoder = Decoder().to(device)
    optimisers = build_optimisers(decoder, lr, lr / 2)
    path, seen, ema = folder / "decoder.pt", 0, None
    if path.exists():
        state = torch.load(path, map_location=device, weights_only=True)
        decoder.load_state_dict(state["model"])
        ema, seen = state["ema"], state["seen"]
    ema = ema or {k: v.clone() for k, v in decoder.state_dict().items()}
    decoder.skip_fine = not fine
    rng = np.random.default_rng()
    started = saved = time.time()
    log = open(folder / "log-decoder.jsonl", "a", buffering=1)  # noqa: SIM115

    def save():
        torch.save({"model": decoder.state_dict(), "ema": ema, "seen": seen}, f"{path}.part")
        Path(f"{path}.part").replace(path)

    step = 0
    while (elapsed := time.time() - started) < minutes * 60:
        left = (minutes * 60 - elapsed) / (decay_minutes * 60 + 1e-9)
        set_rate(optimisers, min(1.0, left, (step + 1) / 30))
        crop = bool(step % 2)
        images = _images(rng, 12 if crop else 3, crop)
        latents = torch.from_numpy(encode(images))
        latents = latents + torch.randn_like(latents) * float(rng.choice([0.0, 0.03, 0.08]))
        target = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        output = decoder(decoder_features(latents).to(device))
        loss = _loss(output, target.to(device))
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        if torch.isfinite(loss):
            for optimiser in optimisers:
                optimiser.step()
        now = decoder.state_dict()
        for key, value in ema.items():
            value.lerp_(now[key], 0.02)
        step, seen = step + 1, seen + len(images)
        if step % 10 == 0:
            mse = (output - target.to(device)).square().mean().item()
            log.write(
                json.dumps([round(time.time()), seen, round(loss.item(), 4), round(mse, 5)]) + "\n"
            )
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()
