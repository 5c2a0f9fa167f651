"""Sinusoidal embeddings of numbers (Vaswani et al. 2017, arXiv:1706.03762).

SDXL takes sizes, crops and aesthetic scores so (Podell et al. 2023, arXiv:2307.01952, section 2.2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

NUMBER_WIDTH = 256
"""Elements of a number's embedding."""


def embed_numbers(numbers: Sequence[float]) -> Tensor:
    """(numbers, 256) float32: 128 cosines and then 128 sines of frequencies 1 down to nearly
    1/10000 (spec sampling.md 8).
    """
    half = NUMBER_WIDTH // 2
    exponents = torch.arange(half, dtype=torch.float32) * -math.log(10000) / half
    angles = torch.tensor(numbers, dtype=torch.float32)[:, None] * exponents.exp()
    return torch.cat([angles.cos(), angles.sin()], dim=1)
