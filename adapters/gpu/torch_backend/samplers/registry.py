"""The registry: samplers by the catalogue's name.

To add one, write the function, name it here, and add its line to `domain/sampling/samplers.py`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from adapters.gpu.torch_backend.samplers.ddim import ddim, ddim_cfgpp
from adapters.gpu.torch_backend.samplers.dpm2 import dpm2, dpm2_ancestral
from adapters.gpu.torch_backend.samplers.dpm_solver import dpm_adaptive, dpm_fast
from adapters.gpu.torch_backend.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral, dpmpp_sde
from adapters.gpu.torch_backend.samplers.euler import euler, euler_ancestral
from adapters.gpu.torch_backend.samplers.heun import heun
from adapters.gpu.torch_backend.samplers.lcm import lcm
from adapters.gpu.torch_backend.samplers.lms import lms
from adapters.gpu.torch_backend.samplers.multistep_sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
)
from adapters.gpu.torch_backend.samplers.plms import plms
from adapters.gpu.torch_backend.samplers.restart import restart
from adapters.gpu.torch_backend.samplers.run import SamplerRun, Trajectory
from adapters.gpu.torch_backend.samplers.unipc import unipc

SamplerFunction = Callable[[Tensor, Tensor, SamplerRun], Trajectory]
"""(x, sigmas or timesteps, run) -> the sampler, ready to be driven."""

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
