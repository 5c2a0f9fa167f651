"""Linear multistep: Adams-Bashforth on the sigma grid."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import slope
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory

ORDER = 4
GAUSS_NODE = 3**-0.5
"""Two-point Gauss-Legendre: exact for the cubics that order 4 integrates."""


def lms(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Integrate the polynomial through the last four slopes (spec sampling.md 4.4)."""
    slopes: list[Tensor] = []  # newest first
    for step, (sigma, following) in enumerate(pairwise(sigmas)):
        denoised = yield x, sigma
        slopes = [slope(x, sigma, denoised), *slopes[: ORDER - 1]]
        nodes = sigmas[max(step - ORDER + 1, 0) : step + 1].flip(0)
        weights = [_weight(nodes, j, float(sigma), float(following)) for j in range(len(nodes))]
        x = x + sum(weight * past for weight, past in zip(weights, slopes, strict=True))
    return x


def _weight(nodes: Tensor, j: int, start: float, end: float) -> float:
    """Integral from `start` to `end` of the Lagrange polynomial that is 1 at node j."""
    others = [q for q in range(len(nodes)) if q != j]
    gaps = [float(nodes[j] - nodes[q]) for q in others]  # float32 differences, as the reference's

    def basis(tau: float) -> float:
        product = 1.0
        for q, gap in zip(others, gaps, strict=True):
            product *= (tau - float(nodes[q])) / gap
        return product

    half, middle = (end - start) / 2, (end + start) / 2
    return half * (basis(middle - half * GAUSS_NODE) + basis(middle + half * GAUSS_NODE))
