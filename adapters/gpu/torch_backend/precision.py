"""The dtype that each network computes in, as the flags and the device decide."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """The dtype each network computes in."""

    unet: torch.dtype
    vae: torch.dtype
    text: torch.dtype


FULL = Precision(torch.float32, torch.float32, torch.float32)
HALF = Precision(torch.float16, torch.float16, torch.float16)


def choose_precision(
    device: torch.device,
    *,
    no_half: bool = False,
    no_half_vae: bool = False,
    precision: str = "autocast",
) -> Precision:
    """The flags' (spec networks.md 1.4): "full" and "half" are so everywhere.

    "autocast" is half where it is fast and whole: on the CPU it is single. Latents and what
    samplers compute are single always, so there is nothing for torch's autocast to do: matrix
    products take what weights are, and torch's sums are single within.
    """
    if precision == "half":
        return HALF
    if device.type == "cpu" or no_half or precision == "full":
        return FULL
    return Precision(HALF.unet, FULL.vae if no_half_vae else HALF.vae, HALF.text)
