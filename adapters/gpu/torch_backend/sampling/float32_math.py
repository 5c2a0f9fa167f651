"""Elementary functions of schedules and step sizes, correctly rounded.

torch's own float32 versions differ in the last bit between processors (on some even the square
root), and a guided run blows that bit up into visible digits. Computed in double and rounded once,
the few numbers that steer a run are the same everywhere. Latents keep torch's fast functions.
"""

import torch
from torch import Tensor


def sqrt(x: Tensor) -> Tensor:
    return torch.sqrt(x.double()).to(x.dtype)


def exp(x: Tensor) -> Tensor:
    return torch.exp(x.double()).to(x.dtype)


def expm1(x: Tensor) -> Tensor:
    return torch.expm1(x.double()).to(x.dtype)


def log(x: Tensor) -> Tensor:
    return torch.log(x.double()).to(x.dtype)


def tan(x: Tensor) -> Tensor:
    return torch.tan(x.double()).to(x.dtype)


def atan(x: Tensor) -> Tensor:
    return torch.atan(x.double()).to(x.dtype)


def power(x: Tensor, exponent: float) -> Tensor:
    return (x.double() ** exponent).to(x.dtype)
