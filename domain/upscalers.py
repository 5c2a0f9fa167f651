"""Upscalers: what a picture or a latent can be enlarged with. Source: spec images.md 9."""

import msgspec

from hexfusion.domain.errors import InvalidRequest
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
    """An upscaler that can be used. `path` is its file, which may be yet to be made.

    `scale` is the factor its network enlarges by in one go, None where only the file tells. Those
    without a network enlarge by any; A1111 gives them 4.
    """

    name: str
    model_name: str | None = None
    path: str | None = None
    scale: float | None = 4.0


PLAIN_UPSCALERS = tuple(UpscalerModel(name=name) for name in IMAGE_UPSCALERS)


class NamedModel(msgspec.Struct, frozen=True):
    """A published model that A1111 knows by a name of its own."""

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
    """Tiles of `size` x `size` pixels that overlap by `overlap`; size 0 takes a picture whole."""

    size: int
    overlap: int


class UpscaleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The options that upscaling reads. Tilings are by family (spec images.md 9.3 and 9.4).

    `enabled` names the models of `REAL_ESRGAN` and `DAT` that are to be offered.
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
    """As the options have them. Raises `InvalidRequest` naming an overlap as large as its tile."""
    return UpscaleSettings(
        esrgan=_tiling(options, "ESRGAN"),
        dat=_tiling(options, "DAT"),
        swinir=_tiling(options, "SWIN"),
        scunet=_tiling(options, "SCUNET"),
        enabled=options.texts("realesrgan_enabled_models") + options.texts("dat_enabled_models"),
    )


def _tiling(options: Options, family: str) -> Tiling:
    size, overlap = options.integer(f"{family}_tile"), options.integer(f"{family}_tile_overlap")
    if size > 0 and not 0 <= overlap < size:
        message = f"must be from 0 to below {family}_tile, {size}, not {overlap}"
        raise InvalidRequest(f"{family}_tile_overlap", message)
    return Tiling(size, overlap)
