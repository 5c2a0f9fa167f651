"""Choosing the dtype of each network, by the flags and the device."""

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
    """The precision that the flags choose (spec networks.md 1.4).

    "full" is float32 and "half" float16 on every device. "autocast" is float16 on a GPU and float32
    on the CPU. torch's autocast is not used: samplers always compute in float32, and a network
    computes in the dtype of its weights.
    """
    if precision == "half":
        return HALF
    if device.type == "cpu" or no_half or precision == "full":
        return FULL
    return Precision(HALF.unet, FULL.vae if no_half_vae else HALF.vae, HALF.text)
