"""The registry of samplers, by their names in the catalogue.

To add one, write the function, name it here, and add its line to `domain/sampling/samplers.py`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.ddim import ddim, ddim_cfgpp
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.dpm2 import dpm2, dpm2_ancestral
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.dpm_solver import dpm_adaptive, dpm_fast
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.dpmpp import (
    dpmpp_2m,
    dpmpp_2s_ancestral,
    dpmpp_sde,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.euler import euler, euler_ancestral
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.heun import heun
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.lcm import lcm
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.lms import lms
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.multistep_sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.plms import plms
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.restart import restart
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.unipc import unipc

SamplerFunction = Callable[[Tensor, Tensor, SamplerRun], Trajectory]
"""(x, sigmas or timesteps, run) -> the running sampler."""

SAMPLERS: Mapping[str, SamplerFunction] = {
    "DPM++ 2M": dpmpp_2m,
    "DPM++ SDE": dpmpp_sde,
    "DPM++ 2M SDE": dpmpp_2m_sde,
    "DPM++ 2M SDE Heun": dpmpp_2m_sde_heun,
    "DPM++ 2S a": dpmpp_2s_ancestral,
    "DPM++ 3M SDE": dpmpp_3m_sde,
    "Euler a": euler_ancestral,
    "Euler": euler,
    "LMS": lms,
    "Heun": heun,
    "DPM2": dpm2,
    "DPM2 a": dpm2_ancestral,
    "DPM fast": dpm_fast,
    "DPM adaptive": dpm_adaptive,
    "Restart": restart,
    "DDIM": ddim,
    "DDIM CFG++": ddim_cfgpp,
    "PLMS": plms,
    "UniPC": unipc,
    "LCM": lcm,
}
