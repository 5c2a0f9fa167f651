"""What a request may ask for: bounds, and what is not built yet.

A1111 has no bounds and crashes, or works for ever; we name the field instead.
"""

import math

from domain import generation
from domain.errors import InvalidRequest, NotFound, Unsupported
from domain.generation import Txt2Img
from domain.options import Options

_FINITE = ("cfg_scale", "subseed_strength", "eta", "s_min_uncond", "s_churn", "s_tmin", "s_noise")


def check(request: Txt2Img) -> None:
    """Raises `InvalidRequest` for a value out of bounds, `Unsupported` for what is not built."""
    within("width", request.width, 8, generation.MAX_SIDE)
    within("height", request.height, 8, generation.MAX_SIDE)
    within("steps", request.steps, 1, generation.MAX_STEPS)
    within("batch_size", request.batch_size, 1, generation.MAX_BATCH_SIZE)
    within("n_iter", request.n_iter, 1, generation.MAX_ITERATIONS)
    within("seed", request.seed, -generation.MAX_SEED, generation.MAX_SEED)
    within("subseed", request.subseed, -generation.MAX_SEED, generation.MAX_SEED)
    for field in _FINITE:
        value = getattr(request, field)
        if value is not None and not math.isfinite(value):
            raise InvalidRequest(field, "must be a finite number")
    if request.s_tmax is not None and math.isnan(request.s_tmax):
        raise InvalidRequest("s_tmax", "must be a number")
    _refuse_unbuilt(request)


def within(field: str, value: int, low: int, high: int) -> None:
    """Raises `InvalidRequest` unless low <= value <= high."""
    if not low <= value <= high:
        raise InvalidRequest(field, f"must be from {low} to {high}, not {value}")


def _refuse_unbuilt(request: Txt2Img) -> None:
    asked = {
        "enable_hr": (request.enable_hr, "hires fix"),
        "refiner_checkpoint": ((request.refiner_checkpoint or "none").lower() != "none", "refiner"),
    }
    for field, (wanted, what) in asked.items():
        if wanted:
            raise Unsupported(field, f"not available yet: {what}")
    for title in filter(None, (request.script_name, *request.alwayson_scripts)):
        # Part of A1111's form, without effect over its API (spec api.md 8).
        if title is request.script_name or title.lower() not in ("sampler", "seed", "refiner"):
            raise NotFound("script", title)


def check_options(request: Txt2Img, options: Options) -> None:
    """Raises `Unsupported` for options that would change the picture in a way not built yet."""
    asked = {
        "tiling": options["tiling"] if request.tiling is None else request.tiling,
        "restore_faces": (
            options["face_restoration"] if request.restore_faces is None else request.restore_faces
        ),
        "token_merging_ratio": options["token_merging_ratio"],
        "sd_vae": options.text("sd_vae").lower() not in ("automatic", "auto", "none", ""),
        "use_old_emphasis_implementation": options["use_old_emphasis_implementation"],
        "hypertile_enable_unet": options["hypertile_enable_unet"],
        "hypertile_enable_vae": options["hypertile_enable_vae"],
    }
    for field, wanted in asked.items():
        if wanted:
            raise Unsupported(field, "not available yet")
