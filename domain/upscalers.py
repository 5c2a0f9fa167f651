"""Upscalers for pictures and latents: names, published models, options.

Source: spec images.md 9.
"""

import msgspec

from hexfusion.domain.options import Options

LATENT_MODES = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)
"""Ways of enlarging a latent, for hires fix only. The first is the default."""

IMAGE_UPSCALERS = ("None", "Lanczos", "Nearest")
"""The upscalers that need no weights, by A1111's names."""


class UpscalerModel(msgspec.Struct, frozen=True, kw_only=True):
    """An available upscaler. `path` is its weights file, which may not exist yet.

    `scale` is the factor of one pass through its network, None if it is known only after reading
    the file. Upscalers without a network enlarge by any factor; A1111 lists them with 4.
    """

    name: str
    model_name: str | None = None
    path: str | None = None
    scale: float | None = 4.0


PLAIN_UPSCALERS = tuple(UpscalerModel(name=name) for name in IMAGE_UPSCALERS)


class NamedModel(msgspec.Struct, frozen=True):
    """A published model with its display name in A1111 and its factor."""

    name: str
    stem: str  # of its file
    scale: int


REAL_ESRGAN = (
    NamedModel("R-ESRGAN General 4xV3", "realesr-general-x4v3", 4),
    NamedModel("R-ESRGAN General WDN 4xV3", "realesr-general-wdn-x4v3", 4),
    NamedModel("R-ESRGAN AnimeVideo", "realesr-animevideov3", 4),
    NamedModel("R-ESRGAN 4x+", "RealESRGAN_x4plus", 4),
    NamedModel("R-ESRGAN 4x+ Anime6B", "RealESRGAN_x4plus_anime_6B", 4),
    NamedModel("R-ESRGAN 2x+", "RealESRGAN_x2plus", 2),
)

DAT = (
    NamedModel("DAT x2", "DAT_x2", 2),
    NamedModel("DAT x3", "DAT_x3", 3),
    NamedModel("DAT x4", "DAT_x4", 4),
)


class Tiling(msgspec.Struct, frozen=True):
    """Tiles of `size` x `size` pixels that overlap by `overlap` pixels; size 0: no tiling."""

    size: int
    overlap: int


class UpscaleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The options that upscaling reads: one tiling per model family (spec images.md 9.3 and 9.4).

    `enabled` names the models of `REAL_ESRGAN` and `DAT` that are listed.
    """

    esrgan: Tiling = Tiling(192, 8)  # Real-ESRGAN's and HAT's too
    dat: Tiling = Tiling(192, 8)
    swinir: Tiling = Tiling(192, 8)
    scunet: Tiling = Tiling(256, 8)
    enabled: tuple[str, ...] = (
        "R-ESRGAN 4x+",
        "R-ESRGAN 4x+ Anime6B",
        "DAT x2",
        "DAT x3",
        "DAT x4",
    )


def upscale_settings(options: Options) -> UpscaleSettings:
    """Read the settings from the options."""
    return UpscaleSettings(
        esrgan=_tiling(options, "ESRGAN"),
        dat=_tiling(options, "DAT"),
        swinir=_tiling(options, "SWIN"),
        scunet=_tiling(options, "SCUNET"),
        enabled=options.texts("realesrgan_enabled_models") + options.texts("dat_enabled_models"),
    )


def _tiling(options: Options, family: str) -> Tiling:
    return Tiling(options.integer(f"{family}_tile"), options.integer(f"{family}_tile_overlap"))
