"""Optimiser: Muon for matrices and convolutions, AdamW for the rest.

Muon (Jordan et al. 2024) replaces each matrix's momentum by the nearest orthogonal matrix. The
Newton-Schulz iteration runs on the small Gram matrix only, which is several times cheaper on a CPU.
"""

import torch
from torch import nn

COEFFICIENTS = ((3.4445, -4.7750, 2.0315),) * 4 + ((1.5, -0.5, 0.0),)
DIRECT = ("embedding", "input_blocks.0.", "out.2.", "time_embed.0", "conv_in", "conv_out")
# The path that copies the noise to the output must stay precise to a percent: ten times slower.
COPY_PATH = ("unet.input_blocks.0.", "unet.out.", "unet.output_blocks.7.0.skip_connection.")


def orthogonalise(g: torch.Tensor) -> torch.Tensor:
    """[m, n] -> the same singular vectors, singular values near one."""
    tall = g.shape[0] > g.shape[1]
    x = (g.T if tall else g) / (g.norm() + 1e-16)  # first, lest tiny squares underflow
    gram = x @ x.T
    scale = gram.norm().sqrt() + 1e-6  # bounds the largest singular value
    gram = gram / scale**2
    eye = torch.eye(gram.shape[0], device=g.device, dtype=g.dtype)
    q = eye / scale
    for a, b, c in COEFFICIENTS:
        p = a * eye + b * gram
        if c:
            p = p + c * (gram @ gram)
        q = p @ q
        gram = p @ gram @ p
    x = q @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; step size matched to Adam's (0.2 sqrt(max(m, n)))."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, beta, decay = group["lr"], group["momentum"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - beta)
                update = torch.lerp(p.grad, state["momentum"], beta).flatten(1)
                size = 0.2 * max(update.shape) ** 0.5
                p.mul_(1 - lr * decay)
                p.add_(orthogonalise(update).view_as(p), alpha=-lr * size)


def build_optimisers(model: nn.Module, muon_lr: float, adam_lr: float):
    """[Muon, AdamW] over the parameters of `model`; each group remembers its `peak` rate."""
    matrices, rest, copy_path = [], [], []
    for name, p in model.named_parameters():
        if name.startswith(COPY_PATH):
            copy_path.append(p)
        elif p.ndim < 2 or any(part in name for part in DIRECT):
            rest.append(p)
        else:
            matrices.append(p)
    muon = Muon(matrices, muon_lr)
    groups = [{"params": rest, "lr": adam_lr}, {"params": copy_path, "lr": adam_lr / 10}]
    adam = torch.optim.AdamW([g for g in groups if g["params"]], betas=(0.9, 0.98), weight_decay=0)
    for optimiser in (muon, adam):
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


def set_rate(optimisers, factor: float) -> None:
    """Set every group's learning rate to `factor` times its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
