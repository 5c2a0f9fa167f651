"""Options: sampling, its speed-ups, and switches that bring old behaviour back (spec api.md 17)."""

from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import NO_FP8, NO_FP8_WEIGHTS, NOT_READ, SPEED

OPTIMIZATIONS = Section(
    "optimizations",
    "Optimizations",
    (
        Option(
            "cross_attention_optimization",
            "Automatic",
            "which attention kernel is used",
            no_effect=SPEED,
        ),
        Option(
            "s_min_uncond",
            0.0,
            "default of request s_min_uncond when null",
            span=(0.0, 15.0),
            infotext="NGMS",
            bounds=(0, 1_000_000),
            low_is_lowest=True,
        ),
        Option(
            "s_min_uncond_all",
            False,
            "skip negative prompt on all (not every other) steps below that sigma",
            infotext="NGMS all steps",
        ),
        Option(
            "token_merging_ratio",
            0.0,
            "share of tokens merged in attention (ToMe)",
            span=(0.0, 0.9),
            infotext="Token merging ratio",
            bounds=(0, 0.99),
        ),
        Option(
            "token_merging_ratio_img2img",
            0.0,
            "the same for img2img; 0 means as token_merging_ratio",
            span=(0.0, 0.9),
            bounds=(0, 0.99),
        ),
        Option(
            "token_merging_ratio_hr",
            0.0,
            "the same for the hires pass; 0 means as token_merging_ratio",
            span=(0.0, 0.9),
            infotext="Token merging ratio hr",
            bounds=(0, 0.99),
        ),
        Option(
            "pad_cond_uncond",
            False,
            "extend the shorter of prompt and negative prompt by the empty prompt's encoding",
            infotext="Pad conds",
        ),
        Option(
            "pad_cond_uncond_v0",
            False,
            "repeat the negative prompt's last vector, or cut it, to the prompt's length",
            infotext="Pad conds v0",
        ),
        Option("persistent_cond_cache", True, "keep text encodings between jobs"),
        Option("batch_cond_uncond", True, "one U-Net call for both halves"),
        Option(
            "fp8_storage",
            "Disable",
            "keep weights in 8-bit floats",
            no_effect=NO_FP8_WEIGHTS,
            choices=("Disable", "Enable for SDXL", "Enable"),
            refused=(("Enable for SDXL", NO_FP8_WEIGHTS), ("Enable", NO_FP8_WEIGHTS)),
        ),
        Option(
            "cache_fp16_weight",
            False,
            "keep 16-bit weights beside the 8-bit ones, so that LoRA stays exact",
            no_effect=NO_FP8,
        ),
    ),
)

COMPATIBILITY = Section(
    "compatibility",
    "Compatibility",
    (
        Option(
            "auto_backcompat",
            True,
            "when parsing infotext turn on old-behaviour switches by version",
        ),
        Option(
            "use_old_emphasis_implementation",
            False,
            "the first emphasis syntax, in a single window of 77 tokens",
        ),
        Option(
            "use_old_karras_scheduler_sigmas", False, "Karras schedule with sigmas from 0.1 to 10"
        ),
        Option(
            "no_dpmpp_sde_batch_determinism", False, "draw SDE noise per batch, not per picture"
        ),
        Option(
            "use_old_hires_fix_width_height",
            False,
            "size the hires passes as the first versions did",
        ),
        Option(
            "hires_fix_use_firstpass_conds",
            False,
            "second pass text encoding made with first-pass networks",
        ),
        Option(
            "use_old_scheduling",
            False,
            "time prompt editing as versions before 1.6.0 did",
            infotext="Old prompt editing timelines",
        ),
        Option(
            "use_downcasted_alpha_bar",
            False,
            "round the cumulative alphas to float16",
            infotext="Downcast alphas_cumprod",
        ),
        Option(
            "refiner_switch_by_sample_steps",
            False,
            "switch to the refiner by step, not by noise level",
            infotext="Refiner switch by sampling steps",
        ),
    ),
)

SAMPLER_PARAMS = Section(
    "sampler-params",
    "Sampler parameters",
    (
        Option(
            "hide_samplers", (), "hides from UI lists and X/Y/Z choices only; API still accepts"
        ),
        Option(
            "eta_ddim",
            0.0,
            "default eta of DDIM-type samplers",
            span=(0.0, 1.0),
            infotext="Eta DDIM",
        ),
        Option(
            "eta_ancestral",
            1.0,
            "default eta of k-diffusion samplers",
            span=(0.0, 1.0),
            infotext="Eta",
            bounds=(-100, 100),
        ),
        Option(
            "ddim_discretize",
            "uniform",
            "without effect",
            choices=("uniform", "quad"),
            no_effect=NOT_READ,
        ),
        Option(
            "s_churn",
            0.0,
            "stochasticity of Euler, Heun and DPM2; when set, it wins over the request",
            span=(0.0, 100.0),
            infotext="Sigma churn",
            bounds=(0, 1000),
        ),
        Option(
            "s_tmin",
            0.0,
            "lowest sigma that is churned; when set, it wins over the request",
            span=(0.0, 10.0),
            infotext="Sigma tmin",
            bounds=(0, 1000),
        ),
        Option(
            "s_tmax",
            0.0,
            "highest sigma that is churned, 0 for no limit; when set, it wins over the request",
            span=(0.0, 999.0),
            infotext="Sigma tmax",
            bounds=(0, 1_000_000),
        ),
        Option(
            "s_noise",
            1.0,
            "scale of the noise added; when changed, it wins over the request",
            span=(0.0, 1.1),
            infotext="Sigma noise",
            bounds=(0, 10),
        ),
        Option(
            "sigma_min",
            0.0,
            "lowest sigma of the schedule; 0 means the default",
            infotext="Schedule min sigma",
            bounds=(0.0001, 5),
            also=(0,),
            at_most=("sigma_max", 0.9),
        ),
        Option(
            "sigma_max",
            0.0,
            "highest sigma of the schedule; 0 means the default",
            infotext="Schedule max sigma",
            bounds=(0.2, 10_000),
            also=(0,),
        ),
        Option(
            "rho",
            0.0,
            "curvature of the Karras and polyexponential schedules; 0 means the default",
            infotext="Schedule rho",
            bounds=(0.5, 100),
            also=(0,),
        ),
        Option(
            "eta_noise_seed_delta",
            0,
            "seed shift for noise after the first",
            infotext="ENSD",
            bounds=(-(2**32), 2**32),
        ),
        Option(
            "always_discard_next_to_last_sigma",
            False,
            "drop the last but one sigma of the schedule",
            infotext="Discard penultimate sigma",
        ),
        Option(
            "sgm_noise_multiplier",
            False,
            "scale the first noise by sqrt(1 + sigma^2)",
            infotext="SGM noise multiplier",
        ),
        Option(
            "uni_pc_variant",
            "bh1",
            "UniPC: how the predictor is weighted",
            choices=("bh1", "bh2", "vary_coeff"),
            infotext="UniPC variant",
        ),
        Option(
            "uni_pc_skip_type",
            "time_uniform",
            "UniPC: spacing of the time steps",
            choices=("time_uniform", "time_quadratic", "logSNR"),
            infotext="UniPC skip type",
        ),
        Option(
            "uni_pc_order",
            3,
            "UniPC: order of the method, at most the steps; beyond 8 float32 overflows",
            span=(1, 50),
            bounds=(1, 8),
            high_is_highest=True,
            infotext="UniPC order",
        ),
        Option(
            "uni_pc_lower_order_final",
            True,
            "UniPC: lower the order in the last steps",
            infotext="UniPC lower order final",
        ),
        Option(
            "sd_noise_schedule",
            "Default",
            "rescale the noise schedule, for models trained with zero terminal SNR",
            choices=("Default", "Zero Terminal SNR"),
            infotext="Noise Schedule",
        ),
        Option(
            "skip_early_cond",
            0.0,
            "share of the first steps that run without guidance",
            span=(0.0, 1.0),
            infotext="Skip Early CFG",
        ),
        Option(
            "beta_dist_alpha",
            0.6,
            'shape of the Beta schedule; infotext is written as "Beta schedule alpha"',
            span=(0.01, 1.0),
            infotext="Beta scheduler alpha",
            bounds=(0.01, 10),
        ),
        Option(
            "beta_dist_beta",
            0.6,
            'shape of the Beta schedule; infotext is written as "Beta schedule beta"',
            span=(0.01, 1.0),
            infotext="Beta scheduler beta",
            bounds=(0.01, 10),
        ),
    ),
)
