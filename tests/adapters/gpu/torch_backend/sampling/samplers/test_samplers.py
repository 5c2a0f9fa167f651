"""Spec sampling.md 4: samplers alone, driven by a formula. Oracle: [V:samplers_sigma] and
[V:samplers_timestep]: final latent, level of every model call, number of draws.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.brownian import ImageBrownian
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.registry import SAMPLERS
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import (
    SamplerRun,
    SigmaLimits,
    Trajectory,
)
from hexfusion.domain.sampling import samplers as catalogue
from hexfusion.domain.sampling.options import SamplingOptions
from tests.golden.sampling_vectors import distance, section

SHAPE = (4, 1, 1)
RUN_ARGUMENTS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")
Model = Callable[[Tensor, Tensor], Tensor]


def linear(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + sigma * sigma)


def nonlinear(x: Tensor, sigma: Tensor) -> Tensor:
    # In double: torch's float32 tanh has other last bits on other processors.
    return torch.tanh(x.double()).float() / (1 + sigma) + 0.05 * x


DENOISERS: dict[str, Model] = {"linear": linear, "nonlinear": nonlinear}


class Draws:
    """Ordinary noise as the vectors had it, counted."""

    def __init__(self) -> None:
        self.count = 0
        self._generator = torch.Generator().manual_seed(0)

    def __call__(self) -> Tensor:
        self.count += 1
        return torch.randn(SHAPE, generator=self._generator)[None]


def drive(sampler: Trajectory, model: Model) -> tuple[Tensor, list[float]]:
    """(final latent, level of every call)"""
    levels = []
    try:
        x, level = next(sampler)
        while True:
            assert x.dtype == level.dtype == torch.float32
            assert level.shape == ()
            levels.append(level.item())
            x, level = sampler.send(model(x, level))
    except StopIteration as end:
        return end.value, levels


def start() -> Tensor:
    return torch.tensor([1.0, -0.5, 0.25, 2.0]).view(1, *SHAPE)


def sampler_name(title: str) -> str:
    """The catalogue's name that a vector's title begins with."""
    return max((name for name in SAMPLERS if f"{title} ".startswith(f"{name} ")), key=len)


def run_of(vector: dict, noise: Draws) -> SamplerRun:
    given = vector["args"]
    arguments = {name: given[name] for name in RUN_ARGUMENTS if name in given}
    if vector["sigmas"] is None:
        limits = SigmaLimits(
            sigma_min=given["sigma_min"], sigma_max=given["sigma_max"], steps=given.get("n", 0)
        )
        return SamplerRun(noise=noise, limits=limits, **arguments)
    positive = [sigma for sigma in vector["sigmas"] if sigma > 0]
    brownian = ImageBrownian(SHAPE, [0], min(positive), max(positive))
    return SamplerRun(noise=noise, brownian=brownian, **arguments)


SIGMA_CASES = [
    pytest.param(title, vector, result, id=f"{title}-{result['denoiser']}")
    for title, vector in section("samplers_sigma").items()
    for result in vector["results"]
]


@pytest.mark.parametrize(("title", "vector", "result"), SIGMA_CASES)
def test_sigma_sampler(title: str, vector: dict, result: dict) -> None:
    noise = Draws()
    sigmas = torch.tensor(vector["sigmas"] or [])
    sampler = SAMPLERS[sampler_name(title)](start(), sigmas, run_of(vector, noise))
    x, levels = drive(sampler, DENOISERS[result["denoiser"]])
    assert distance(x.flatten(), result["x_final"]) <= vector["tolerance"]
    # DPM adaptive sizes its steps by differences of latents: their last bits show up in its sigmas.
    assert distance(levels, result["call_sigmas"]) <= (1e-4 if "info" in result else 2e-6)
    assert noise.count == result["noise_draws"]
    if "info" in result:  # DPM adaptive draws once per accepted step, asks thrice per attempt
        assert noise.count == result["info"]["n_accept"]
        assert len(levels) == 3 * result["info"]["steps"]


@pytest.mark.parametrize("title", section("samplers_timestep"))
def test_timestep_sampler(title: str) -> None:
    vector, noise = section("samplers_timestep")[title], Draws()
    name = sampler_name(title)
    wants_unconditional = catalogue.BY_NAME[name].wants_unconditional

    def model(x: Tensor, t: Tensor) -> Tensor:
        guided = x * torch.sqrt((t + 1) / 1001) + 0.1 * torch.cos(x.double()).float()
        return torch.stack([guided, 0.5 * guided + 0.01]) if wants_unconditional else guided

    run = SamplerRun(
        noise=noise,
        eta=vector["args"].get("eta", 0.0),
        alphas_cumprod=noise_table().alphas_cumprod,
        from_image=vector["args"].get("is_img2img", False),
        options=SamplingOptions(**vector["options"]),
    )
    x, levels = drive(SAMPLERS[name](start(), torch.tensor(vector["timesteps"]), run), model)
    assert distance(x.flatten(), vector["x_final"]) <= vector["tolerance"]
    assert distance(levels, vector["call_t"]) <= vector["tolerance"]
    assert noise.count == vector["noise_draws"]


def test_catalogue_and_registry_name_the_same_samplers() -> None:
    assert list(SAMPLERS) == [sampler.name for sampler in catalogue.SAMPLERS]


def test_every_sampler_of_the_reference_has_vectors() -> None:
    titles = [*section("samplers_sigma"), *section("samplers_timestep")]
    theirs = {entry["name"] for entry in section("samplers_registry")}
    assert {sampler_name(title) for title in titles} == theirs


@pytest.mark.parametrize("name", ["DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"])
def test_a_single_sde_step_is_the_denoised_latent(name: str) -> None:
    """Spec 3.2: the reference fails here on an unset variable."""
    run = SamplerRun(noise=Draws(), brownian=ImageBrownian(SHAPE, [0], 5.0, 5.0))
    x, levels = drive(SAMPLERS[name](start(), torch.tensor([5.0, 0.0]), run), linear)
    assert torch.equal(x, linear(start(), torch.tensor(5.0)))
    assert levels == [5.0]


@pytest.mark.parametrize("name", ["DPM fast", "DPM adaptive"])
def test_a_range_of_one_sigma_is_denoised_in_one_call(name: str) -> None:
    """img2img with one step left: the reference fails here."""
    x, levels = drive(
        SAMPLERS[name](start(), torch.tensor([0.5, 0.0]), SamplerRun(noise=Draws())), linear
    )
    assert torch.equal(x, linear(start(), torch.tensor(0.5)))
    assert levels == [0.5]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_unipc_lowers_its_order_to_few_steps(count: int) -> None:
    """The reference fails on fewer steps than its order."""
    run = SamplerRun(noise=Draws(), alphas_cumprod=noise_table().alphas_cumprod)
    timesteps = torch.tensor([1, 501][:count], dtype=torch.long)
    x, levels = drive(SAMPLERS["UniPC"](start(), timesteps, run), lambda x, t: 0.5 * x)
    assert len(levels) == count
    assert x.isfinite().all()


@pytest.mark.parametrize("name", [s.name for s in catalogue.SAMPLERS if s.space == "sigma"])
def test_a_perfect_denoiser_is_followed_to_its_latent(name: str) -> None:
    """All data one point: whatever the noise, each sampler must end there (or at sigma_min of it).

    Independent of the vectors.
    """
    point = torch.full((1, *SHAPE), 0.7)
    sigmas = torch.linspace(math.log(10), math.log(0.03), 24).exp()
    sigmas = torch.cat([sigmas, torch.zeros(1)])
    limits = SigmaLimits(sigma_min=0.03, sigma_max=10.0, steps=24)
    run = SamplerRun(
        noise=Draws(), brownian=ImageBrownian(SHAPE, [0], 0.03, 10.0), limits=limits, s_churn=2.0
    )
    sampler = SAMPLERS[name](point + 10 * start(), sigmas, run)
    x, _ = drive(sampler, lambda x, sigma: point.clone())
    assert (x - point).abs().max() < 0.2
