"""Options: what A1111 registers only where its web UI runs (spec api.md 17)."""

from hexfusion.domain.options.explanations import HYPERTILE_HELP
from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import LDSR, SPEED

EXTRA_UPSCALERS = Section(
    "upscaling",
    "Upscaling",
    (
        Option(
            "ldsr_steps", 100, "DDIM steps of LDSR", span=(1, 200), web_ui_only=True, no_effect=LDSR
        ),
        Option("ldsr_cached", False, "keep LDSR model loaded", web_ui_only=True, no_effect=LDSR),
        Option(
            "SCUNET_tile",
            256,
            "tile side in pixels for ScuNET; 0 switches tiling off",
            span=(0, 512),
            web_ui_only=True,
            bounds=(16, 8192),
            also=(0,),
        ),
        Option(
            "SCUNET_tile_overlap",
            8,
            "tile overlap in pixels for ScuNET",
            span=(0, 64),
            web_ui_only=True,
            bounds=(0, 4096),
            at_most=("SCUNET_tile", 0.75),
        ),
        Option(
            "SWIN_tile",
            192,
            "tile side in pixels for SwinIR",
            span=(16, 512),
            web_ui_only=True,
            bounds=(16, 8192),
            also=(0,),
        ),
        Option(
            "SWIN_tile_overlap",
            8,
            "tile overlap in pixels for SwinIR",
            span=(0, 48),
            web_ui_only=True,
            bounds=(0, 4096),
            at_most=("SWIN_tile", 0.75),
        ),
        Option(
            "SWIN_torch_compile", False, "compile the SwinIR net", web_ui_only=True, no_effect=SPEED
        ),
    ),
)

HYPERTILE = Section(
    "hypertile",
    "Hypertile",
    (
        Option("hypertile_explanation", HYPERTILE_HELP, explanation=True, web_ui_only=True),
        Option(
            "hypertile_enable_unet",
            False,
            "split UNet self-attention into tiles",
            infotext="Hypertile U-Net",
            web_ui_only=True,
        ),
        Option(
            "hypertile_enable_unet_secondpass",
            False,
            "split UNet self-attention into tiles in the hires pass",
            infotext="Hypertile U-Net second pass",
            web_ui_only=True,
        ),
        Option(
            "hypertile_max_depth_unet",
            3,
            "deepest UNet level that is tiled",
            span=(0, 3),
            infotext="Hypertile U-Net max depth",
            web_ui_only=True,
        ),
        Option(
            "hypertile_max_tile_unet",
            256,
            "largest UNet tile in pixels",
            span=(0, 512),
            infotext="Hypertile U-Net max tile size",
            web_ui_only=True,
        ),
        Option(
            "hypertile_swap_size_unet",
            3,
            "how many tilings of the UNet alternate",
            span=(0, 64),
            infotext="Hypertile U-Net swap size",
            web_ui_only=True,
        ),
        Option(
            "hypertile_enable_vae",
            False,
            "split VAE attention into tiles",
            infotext="Hypertile VAE",
            web_ui_only=True,
        ),
        Option(
            "hypertile_max_depth_vae",
            3,
            "deepest VAE level that is tiled",
            span=(0, 3),
            infotext="Hypertile VAE max depth",
            web_ui_only=True,
        ),
        Option(
            "hypertile_max_tile_vae",
            128,
            "largest VAE tile in pixels",
            span=(0, 512),
            infotext="Hypertile VAE max tile size",
            web_ui_only=True,
        ),
        Option(
            "hypertile_swap_size_vae",
            3,
            "how many tilings of the VAE alternate",
            span=(0, 64),
            infotext="Hypertile VAE swap size",
            web_ui_only=True,
        ),
    ),
)
