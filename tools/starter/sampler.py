"""A plain Euler sampler with classifier-free guidance, for looking at snapshots without the
product."""

import numpy as np
import torch

from .schedule import STEPS, alphas_cumprod
from .tokens import pad_rows, row_ids


def rows_of(prompts: list[str]) -> torch.Tensor:
    """int64 [n, 77]."""
    return torch.from_numpy(np.stack([pad_rows(row_ids(p)) for p in prompts]))


@torch.no_grad()
def sample(model, prompts, side: int, seeds, steps: int = 20, cfg: float = 7.0, device="cpu"):
    """Latents [n, 4, side/8, side/8] (scaled) for `prompts` and `seeds`, Euler over sigma."""
    ac = alphas_cumprod()
    times = torch.linspace(STEPS - 1, 0, steps)
    sigma_all = ((1 - ac) / ac).sqrt()
    low = times.floor().long()
    high = (low + 1).clamp(max=STEPS - 1)
    logs = sigma_all.log()
    sigmas = torch.lerp(logs[low], logs[high], times - low).exp()
    sigmas = torch.cat([sigmas, torch.zeros(1)])
    grid = side // 8
    noise = [torch.randn(4, grid, grid, generator=torch.Generator().manual_seed(s)) for s in seeds]
    x = (torch.stack(noise) * sigmas[0]).to(device)
    context = model.text(rows_of(list(prompts) + [""] * len(prompts)).to(device))
    for k in range(steps):
        sigma = sigmas[k].item()
        scaled = x / (sigma**2 + 1) ** 0.5
        t = times[k].to(device).expand(2 * len(x))
        eps_text, eps_empty = model.unet(torch.cat([scaled, scaled]), t, context).chunk(2)
        eps = eps_empty + cfg * (eps_text - eps_empty)
        x = x + (sigmas[k + 1].item() - sigma) * eps
    return x
