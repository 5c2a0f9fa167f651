"""Latent consistency models: jump to the clean latent, put noise back, jump again."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def lcm(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Luo et al. 2023 (arXiv:2310.04378), Alg. 3; the denoiser must be the consistency one."""
    for sigma, following in pairwise(sigmas):
        x = yield x, sigma
        if following > 0:
            x = x + following * run.noise()
    return x
