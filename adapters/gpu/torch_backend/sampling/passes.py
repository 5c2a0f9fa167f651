"""Whole sampling passes: from noise (txt2img), and from a latent (img2img, hires second pass).

They combine schedule, noise, sampler and denoiser (spec sampling.md 6.1 to 6.3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.brownian import BatchBrownian, ImageBrownian
from hexfusion.adapters.gpu.torch_backend.sampling.call import Network
from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import GuidedDenoiser, Mask, Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import Conditioning
from hexfusion.adapters.gpu.torch_backend.sampling.loop import Observer, sample
from hexfusion.adapters.gpu.torch_backend.sampling.noise import ImageNoise
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import NoiseTable
from hexfusion.adapters.gpu.torch_backend.sampling.preconditioning import (
    preconditioning,
    sampling_table,
)
from hexfusion.adapters.gpu.torch_backend.sampling.refiner import RefinedDenoiser, when_due
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.registry import SAMPLERS
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import (
    BrownianDraw,
    SamplerRun,
    SigmaLimits,
)
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import AYS_SD1, build_sigmas
from hexfusion.domain.plan import RefinerPlan, SamplingPlan
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.steps import expected_calls, img2img_steps, timestep_list


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentModel:
    """A denoising network, and the facts needed to sample with it.

    `table` is the noise table under the job's options (`noise_table`). `align_your_steps` has that
    schedule's eleven sigmas for this model. `image_cfg_scale` is as for `GuidedDenoiser`.
    """

    network: Network
    table: NoiseTable
    v_prediction: bool = False
    align_your_steps: Sequence[float] = AYS_SD1
    image_cfg_scale: float | None = None


@dataclass(frozen=True, eq=False)
class Refiner:
    """The model that takes over a pass. `load`, called then, returns it and its encoded texts."""

    plan: RefinerPlan
    load: Callable[[], tuple[LatentModel, Conditioning]]


def never_stop(calls: int, latest: Prediction) -> bool:
    """The default observer, which never stops a run."""
    return False


@torch.inference_mode()
def sample_from_noise(
    model: LatentModel,
    sampling: SamplingPlan,
    conditioning: Conditioning,
    noise: ImageNoise,
    observe: Observer = never_stop,
    refiner: Refiner | None = None,
    happened: set[str] | None = None,
) -> Tensor:
    """txt2img: sample latents (B, C, H, W) from noise.

    `happened`, if given, collects `GuidedDenoiser.happened`.
    """
    x = noise()
    limits = None
    if sampling.sampler.space == "timestep":
        schedule = full = _timesteps(sampling, sampling.steps)
    else:
        table = sampling_table(sampling.sampler, model.table)
        schedule = full = _sigmas(model, sampling, sampling.steps)
        x = x * _first_scale(schedule[0], sampling.options)
        limits = SigmaLimits(
            sigma_min=table.sigma_min, sigma_max=table.sigma_max, steps=sampling.steps
        )
    run = _run(model, sampling, noise, full, limits=limits, from_image=False)
    denoiser = _denoiser(model, sampling, conditioning, sampling.steps, None, refiner)
    x = sample(SAMPLERS[sampling.sampler.name](x, schedule, run), denoiser, observe)
    if happened is not None:
        happened |= denoiser.happened
    return x


@torch.inference_mode()
def sample_from_latent(
    model: LatentModel,
    sampling: SamplingPlan,
    conditioning: Conditioning,
    noise: ImageNoise,
    init: Tensor,
    denoising_strength: float,
    *,
    explicit_steps: bool = False,
    noise_multiplier: float = 1.0,
    mask: Mask | None = None,
    observe: Observer = never_stop,
    refiner: Refiner | None = None,
    happened: set[str] | None = None,
    first_noise: Tensor | None = None,
) -> Tensor:
    """img2img and the hires second pass: `init` (B, C, H, W) noised part way and denoised.

    `explicit_steps` makes as many steps as were asked for (second pass, option img2img_fix_steps);
    `noise_multiplier` scales the first noise (img2img only). With a mask the kept part of `init`
    comes back untouched. `first_noise` takes the place of what `noise` would draw first.
    """
    steps, depth = img2img_steps(sampling.steps, denoising_strength, explicit=explicit_steps)
    if steps == 0:
        return init
    z = noise() * noise_multiplier if first_noise is None else first_noise
    start = _start_in_timesteps if sampling.sampler.space == "timestep" else _start_in_sigmas
    x, full, schedule = start(model, sampling, init, z, steps, depth)
    run = _run(model, sampling, noise, full, limits=None, from_image=True)
    denoiser = _denoiser(model, sampling, conditioning, depth + 1, mask, refiner)
    x = sample(SAMPLERS[sampling.sampler.name](x, schedule, run), denoiser, observe)
    if happened is not None:
        happened |= denoiser.happened
    return mask.finish(x) if mask else x


def _start_in_sigmas(
    model: LatentModel, sampling: SamplingPlan, init: Tensor, z: Tensor, steps: int, depth: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(first x, whole schedule, the part of it that is run)."""
    full = _sigmas(model, sampling, steps)
    schedule = full[steps - depth - 1 :]
    x = init + z * schedule[0]
    extra = sampling.options.img2img_extra_noise
    return (x + z * extra if extra > 0 else x), full, schedule


def _start_in_timesteps(
    model: LatentModel, sampling: SamplingPlan, init: Tensor, z: Tensor, steps: int, depth: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same. The first time run is one below the noise put in: A1111 slices so."""
    full = _timesteps(sampling, steps)
    alpha = model.table.alphas_cumprod[int(full[depth])].to(torch.float32)
    x = init * sqrt(alpha) + z * sqrt(1 - alpha)
    extra = sampling.options.img2img_extra_noise
    return (x + z * extra * sqrt(alpha) if extra > 0 else x), full, full[:depth]


def _timesteps(sampling: SamplingPlan, steps: int) -> Tensor:
    longer = sampling.options.always_discard_next_to_last_sigma
    return torch.tensor(timestep_list(steps + 1 if longer else steps))


def model_sigmas(model: LatentModel, sampling: SamplingPlan) -> Tensor:
    """The sigmas of a pass, falling to 0."""
    return _sigmas(model, sampling, sampling.steps)


def guided_denoiser(
    model: LatentModel, sampling: SamplingPlan, conditioning: Conditioning
) -> GuidedDenoiser | RefinedDenoiser:
    """The denoiser for a whole pass."""
    return _denoiser(model, sampling, conditioning, sampling.steps, None, None)


def _sigmas(model: LatentModel, sampling: SamplingPlan, steps: int) -> Tensor:
    return build_sigmas(
        sampling_table(sampling.sampler, model.table),
        sampling.scheduler,
        sampling.sampler,
        steps,
        sampling.options,
        align_your_steps=model.align_your_steps,
    )


def _first_scale(sigma: Tensor, options: SamplingOptions) -> Tensor:
    return sqrt(1 + sigma**2) if options.sgm_noise_multiplier else sigma


def _run(
    model: LatentModel,
    sampling: SamplingPlan,
    noise: ImageNoise,
    full_schedule: Tensor,
    *,
    limits: SigmaLimits | None,
    from_image: bool,
) -> SamplerRun:
    parameters = sampling.parameters
    return SamplerRun(
        noise=noise,
        brownian=_brownian(sampling, noise, full_schedule) if sampling.sampler.brownian else None,
        eta=parameters.eta,
        s_churn=parameters.s_churn,
        s_tmin=parameters.s_tmin,
        s_tmax=parameters.s_tmax,
        s_noise=parameters.s_noise,
        limits=limits,
        alphas_cumprod=model.table.alphas_cumprod,
        from_image=from_image,
        options=sampling.options,
    )


def _brownian(sampling: SamplingPlan, noise: ImageNoise, sigmas: Tensor) -> BrownianDraw:
    """Over the whole schedule's range, also when only part of it is run (spec 1.8)."""
    low, high = sigmas[sigmas > 0].min().item(), sigmas.max().item()
    if sampling.options.no_dpmpp_sde_batch_determinism:
        shape = (len(noise.seeds), *noise.shape)
        generator = noise.global_generator()
        return BatchBrownian(shape, generator, low, high, source=noise.source, device=noise.device)
    return ImageBrownian(
        noise.shape, noise.seeds, low, high, source=noise.source, device=noise.device
    )


def _denoiser(
    model: LatentModel,
    sampling: SamplingPlan,
    conditioning: Conditioning,
    steps: int,
    mask: Mask | None,
    refiner: Refiner | None,
) -> GuidedDenoiser | RefinedDenoiser:
    sampler = sampling.sampler
    total_calls = expected_calls(sampler, steps)

    def guided(
        model: LatentModel, conditioning: Conditioning, first_step: int = 0
    ) -> GuidedDenoiser:
        return GuidedDenoiser(
            model.network,
            preconditioning(
                sampler,
                sampling_table(sampler, model.table),
                v_prediction=model.v_prediction,
            ),
            conditioning,
            sampling,
            total_calls=total_calls,
            mask=mask,
            first_step=first_step,
            image_cfg_scale=model.image_cfg_scale,
        )

    first = guided(model, conditioning)
    if refiner is None:
        return first
    due = when_due(refiner.plan, sampler, sampling_table(sampler, model.table), total_calls)
    return RefinedDenoiser(first, due, lambda calls: guided(*refiner.load(), first_step=calls))
