"""The options that change sampling, by A1111's names and defaults (spec api.md 9)."""

from typing import Literal

import msgspec

RandnSource = Literal["GPU", "CPU", "NV"]
NoiseSchedule = Literal["Default", "Zero Terminal SNR"]
UniPCVariant = Literal["bh1", "bh2", "vary_coeff"]
UniPCSkipType = Literal["time_uniform", "time_quadratic", "logSNR"]


class SamplingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options that sampling reads, as they were when the job was planned.

    `msgspec.convert(snapshot, SamplingOptions)` makes one from an options snapshot.
    """

    # noise
    randn_source: RandnSource = "GPU"
    eta_noise_seed_delta: int = 0
    no_dpmpp_sde_batch_determinism: bool = False

    # noise table and schedule
    enable_quantization: bool = False
    use_downcasted_alpha_bar: bool = False
    sd_noise_schedule: NoiseSchedule = "Default"
    use_old_karras_scheduler_sigmas: bool = False
    always_discard_next_to_last_sigma: bool = False
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    beta_dist_alpha: float = 0.6
    beta_dist_beta: float = 0.6

    # sampler parameters
    eta_ancestral: float = 1.0
    eta_ddim: float = 0.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    uni_pc_variant: UniPCVariant = "bh1"
    uni_pc_skip_type: UniPCSkipType = "time_uniform"
    uni_pc_order: int = 3
    uni_pc_lower_order_final: bool = True

    # first latent
    sgm_noise_multiplier: bool = False
    initial_noise_multiplier: float = 1.0
    img2img_extra_noise: float = 0.0
    img2img_fix_steps: bool = False

    # guidance
    s_min_uncond: float = 0.0
    s_min_uncond_all: bool = False
    skip_early_cond: float = 0.0
    pad_cond_uncond: bool = False
    pad_cond_uncond_v0: bool = False
    batch_cond_uncond: bool = True
