"""The SD1 noise schedule ("scaled linear", 1000 steps) and the loss weights drawn from it."""

import torch

STEPS = 1000


def alphas_cumprod() -> torch.Tensor:
    """float32 [1000]: squares of 1000 evenly spaced roots of beta, 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def loss_weight(snr: torch.Tensor, gamma: float = 2.0, floor: float = 0.2) -> torch.Tensor:
    """Min-SNR weight of the eps error (Hang et al. 2023), with a floor in units of the x0 error.

    A low gamma favours outlines (mid noise) over finish (low noise); the floor makes the first
    sampling steps count, where cfg multiplies their errors.
    """
    return (snr.clamp(max=gamma) + floor) / snr


def sample_timesteps(count: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """int64 [count]: mid and high noise favoured, the more so for large latents (`side` cells)."""
    low_end, low_share = {64: (450, 0.08), 32: (350, 0.12)}.get(side, (300, 0.17))
    low = torch.rand(count, generator=generator) < low_share
    u = torch.rand(count, generator=generator)
    t = torch.where(low, u * low_end, low_end + u * (STEPS - low_end))
    return t.long().clamp(max=STEPS - 1)


def low_timesteps(count: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """int64 [count]: mostly below 600, where img2img at low strength starts; the others as
    ever, so that nothing is unlearnt."""
    low = torch.rand(count, generator=generator) < 0.6
    u = torch.rand(count, generator=generator) * 600
    return torch.where(low, u.long(), sample_timesteps(count, side, generator))
