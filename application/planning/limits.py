"""Validates requests: value ranges, and fields that are not supported.

A1111 has no such limits, and crashes or never finishes; here the error names the field.
"""

import math

from hexfusion.domain import generation
from hexfusion.domain.errors import InvalidRequest, Unsupported
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.picture_lists import PictureLists

#: Largest blur radius of a mask, in pixels: the cost grows with it.
MAX_BLUR = 256

#: Fields that may be infinite: no limit.
_UNLIMITED = {"s_tmax"}


def check_txt2img(request: Txt2Img) -> None:
    """Raises `InvalidRequest` for a value out of range, `Unsupported` for an unsupported field."""
    _check(request)
    _check_hires(request)


def check_img2img(request: Img2Img, *, masked: bool) -> None:
    """Raises as `check_txt2img` does. `masked`: the request has a mask."""
    _check(request)
    if request.denoising_strength < 0:  # above 1 is taken for 1, as A1111 does
        raise InvalidRequest("denoising_strength", "must be from 0 to 1")
    within("resize_mode", request.resize_mode, 0, 3)
    for field in ("mask_blur", "mask_blur_x", "mask_blur_y"):
        if (radius := getattr(request, field)) is not None and radius > MAX_BLUR:
            raise InvalidRequest(field, f"must be at most {MAX_BLUR}, not {radius}")
    within("inpaint_full_res_padding", request.inpaint_full_res_padding, 0, generation.MAX_SIDE)
    if masked and request.latent_mask:
        raise Unsupported("latent_mask", "not available over this API, as in A1111")


def _check(request: AnyRequest) -> None:
    within("width", request.width, 8, generation.MAX_SIDE)
    within("height", request.height, 8, generation.MAX_SIDE)
    within("steps", request.steps, 1, generation.MAX_STEPS)
    within("batch_size", request.batch_size, 1, generation.MAX_BATCH_SIZE)
    within("n_iter", request.n_iter, 1, generation.MAX_ITERATIONS)
    within("seed", request.seed, generation.MIN_SEED, generation.MAX_SEED)
    within("subseed", request.subseed, generation.MIN_SEED, generation.MAX_SEED)
    _check_finite(request)


def _check_finite(request: AnyRequest) -> None:
    """Every number of the request must be one, and none infinite that may not be."""
    for field in request.__struct_fields__:
        value = getattr(request, field)
        infinite = isinstance(value, float) and not math.isfinite(value)
        if infinite and (math.isnan(value) or field not in _UNLIMITED):
            raise InvalidRequest(field, "must be a finite number")


def _check_hires(request: Txt2Img) -> None:
    """The fields of hires fix. `denoising_strength` is used only with it."""
    if request.firstphase_width or request.firstphase_height:
        within("firstphase_width", request.firstphase_width, 8, generation.MAX_SIDE)
        within("firstphase_height", request.firstphase_height, 8, generation.MAX_SIDE)
    if not request.enable_hr:
        return
    strength = request.denoising_strength
    if strength is None or strength < 0:  # above 1 is taken for 1, as A1111 does
        raise InvalidRequest("denoising_strength", "must be given with enable_hr, from 0 to 1")
    if request.hr_scale <= 0:
        raise InvalidRequest("hr_scale", "must be above 0")
    within("hr_second_pass_steps", request.hr_second_pass_steps, 0, generation.MAX_STEPS)
    within("hr_resize_x", request.hr_resize_x, 0, generation.MAX_SIDE)
    within("hr_resize_y", request.hr_resize_y, 0, generation.MAX_SIDE)
    if request.firstpass_image:
        raise Unsupported("firstpass_image", "not available over this API, as in A1111")


def check_lists(request: AnyRequest, lists: PictureLists) -> None:
    """Raises `InvalidRequest` unless each list has one entry per picture of the job.

    If all four lists are given and equally long, the last batch may have fewer pictures.
    """
    count = request.batch_size * request.n_iter
    lengths = {len(getattr(lists, field) or ()) for field in lists.__struct_fields__}
    if len(lengths) == 1 and count - request.batch_size < max(lengths) <= count:
        return
    for field in lists.__struct_fields__:
        entries = getattr(lists, field)
        if entries is not None and len(entries) != count:
            raise InvalidRequest(
                field, f"must have {count} entries, one for each picture, not {len(entries)}"
            )


def within(field: str, value: int, low: int, high: int) -> None:
    """Raises `InvalidRequest` unless low <= value <= high."""
    if not low <= value <= high:
        raise InvalidRequest(field, f"must be from {low} to {high}, not {value}")
