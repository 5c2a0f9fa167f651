"""Options: checkpoints and VAEs (spec api.md 17)."""

from hexfusion.domain.options.explanations import VAE_HELP
from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import NO_SD3, NO_UNETS, NOT_READ

SD = Section(
    "sd",
    "Stable Diffusion",
    (
        Option(
            "sd_model_checkpoint",
            None,
            "the checkpoint in use, by any of its names",
            infotext="Model hash",
        ),
        Option("sd_checkpoints_limit", 1, "how many checkpoints may stay loaded", span=(1, 10)),
        Option("sd_checkpoints_keep_in_cpu", True, "keep only the checkpoint in use on the device"),
        Option("sd_checkpoint_cache", 0, "how many checkpoints to cache in memory", span=(0, 10)),
        Option("sd_unet", "Automatic", "alternative U-Net provider", no_effect=NO_UNETS),
        Option(
            "enable_quantization",
            False,
            "k-diffusion denoiser quantises sigma to the nearest training step",
        ),
        Option(
            "emphasis",
            "Original",
            "how attention weights act on text encodings",
            choices=("None", "Ignore", "Original", "No norm"),
            otherwise="Original",
            infotext="Emphasis",
        ),
        Option("enable_batch_seeds", True, "without effect", no_effect=NOT_READ),
        Option(
            "comma_padding_backtrack",
            20,
            "how many tokens back a chunk split may move to a comma",
            span=(0, 74),
            low_is_lowest=True,
            high_is_highest=True,
        ),
        Option("sdxl_clip_l_skip", False, "apply clip skip to CLIP-L of SDXL"),
        Option(
            "CLIP_stop_at_last_layers",
            1,
            "clip skip: which text encoder layer, counted from the last",
            span=(1, 12),
            infotext="Clip skip",
            low_is_lowest=True,
            aliases=("clip_skip",),
        ),
        Option(
            "upcast_attn", False, "attention in float32, where networks compute in half precision"
        ),
        Option(
            "randn_source",
            "GPU",
            "noise generator: device, CPU, or emulated NVIDIA Philox",
            choices=("GPU", "CPU", "NV"),
            infotext="RNG",
        ),
        Option(
            "tiling",
            False,
            "default of request tiling when null (circular convolutions)",
            infotext="Tiling",
        ),
        Option(
            "hires_fix_refiner_pass",
            "second pass",
            "pass in which the refiner may switch",
            choices=("first pass", "second pass", "both passes"),
            infotext="Hires refiner",
        ),
    ),
)

SDXL = Section(
    "sdxl",
    "Stable Diffusion XL",
    (
        Option(
            "sdxl_crop_top",
            0,
            "SDXL size conditioning: crop from the top in pixels",
            bounds=(-100_000, 100_000),
        ),
        Option(
            "sdxl_crop_left",
            0,
            "SDXL size conditioning: crop from the left in pixels",
            bounds=(-100_000, 100_000),
        ),
        Option(
            "sdxl_refiner_low_aesthetic_score",
            2.5,
            "SDXL refiner conditioning of the negative prompt",
            bounds=(-100, 100),
        ),
        Option(
            "sdxl_refiner_high_aesthetic_score",
            6.0,
            "SDXL refiner conditioning of the prompt",
            bounds=(-100, 100),
        ),
    ),
)

SD3 = Section(
    "sd3",
    "Stable Diffusion 3",
    (Option("sd3_enable_t5", False, "load T5 (at model load)", no_effect=NO_SD3),),
)

VAE = Section(
    "vae",
    "VAE",
    (
        Option("sd_vae_explanation", VAE_HELP, explanation=True),
        Option("sd_vae_checkpoint_cache", 0, "VAE cache size", span=(0, 10)),
        Option("sd_vae", "Automatic", "which VAE is used", infotext="VAE"),
        Option(
            "sd_vae_overrides_per_model_preferences", True, "explicit VAE beats per-checkpoint VAE"
        ),
        Option(
            "auto_vae_precision_bfloat16",
            False,
            "when the VAE yields NaN, try again in bfloat16 (before auto_vae_precision)",
        ),
        Option("auto_vae_precision", True, "when the VAE yields NaN, try again in float32"),
        Option(
            "sd_vae_encode_method",
            "Full",
            "what turns pictures into latents",
            choices=("Full", "TAESD"),
            infotext="VAE Encoder",
        ),
        Option(
            "sd_vae_decode_method",
            "Full",
            "what turns latents into pictures",
            choices=("Full", "TAESD"),
            infotext="VAE Decoder",
        ),
    ),
)

FORGE_MODULES = Option(
    "forge_additional_modules",
    (),
    "Forge's modules: the last VAE among them is used where sd_vae chooses none",
    web_ui_only=True,
)
"""Forge's option, which A1111 has not. It is not listed, as clients tell Forge by it."""

PROMPT_COMMENTS = Section(
    "sd",
    "Stable Diffusion",
    (Option("enable_prompt_comments", True, "strip # comments from prompts"),),
)
