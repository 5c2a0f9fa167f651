"""Prepares a request's mask for inpainting. Source: spec images.md 2 and 3."""

from dataclasses import dataclass

from PIL import Image, ImageOps

from hexfusion.application.inpainting.masks import blur, read_mask
from hexfusion.application.pictures.resizing import FILL, fit
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.picture_boxes import Box, Size, padded, widened

OPAQUE = 255


@dataclass(frozen=True)
class Inpainting:
    """The masks of an inpainting job.

    `overlay` ("L") is white where the original picture is covered by the new one; `working` ("L")
    is the mask at the size of the generation. `box` is the region of the picture that is
    generated, None for the whole. `seen` is the mask that inpainting checkpoints get as input, if
    it is not `working`.
    """

    overlay: Image.Image
    working: Image.Image
    box: Box | None = None
    seen: Image.Image | None = None


def read_inpainting(request: Img2Img, picture: Image.Image, size: Size) -> Inpainting | None:
    """Read the mask `picture` of a request that is generated at `size`, in pixels.

    None if `inpaint_full_res` is set and the mask is all black: then the whole is repainted.
    Raises `InvalidRequest("mask", ...)` for one too narrow for the resize mode.
    """
    mask = read_mask(picture, all_or_nothing=request.mask_round)
    if request.inpainting_mask_invert:
        mask = ImageOps.invert(mask)
    mask = blur(mask, *blur_radii(request))
    if not request.inpaint_full_res:
        return _whole(request, mask, size)
    box = mask.getbbox()
    if box is None:
        return None
    if request.inpaint_full_res_padding:
        box = padded(box, request.inpaint_full_res_padding, mask.size)
    box = widened(box, size, mask.size)
    working = fit(mask.crop(box), size, FILL, field="mask").convert("L")
    return Inpainting(overlay=mask, working=working, box=box)


def _whole(request: Img2Img, mask: Image.Image, size: Size) -> Inpainting:
    working = fit(mask, size, request.resize_mode, field="mask").convert("L")
    # Doubled, so that a blurred border shows the new picture further out.
    overlay = working.point([min(2 * value, OPAQUE) for value in range(OPAQUE + 1)])
    return Inpainting(overlay=overlay, working=working)


def blur_radii(request: Img2Img) -> tuple[int, int]:
    """(horizontal, vertical) blur radius in pixels; `mask_blur`, if given, sets both."""
    if request.mask_blur is not None:
        return request.mask_blur, request.mask_blur
    return request.mask_blur_x, request.mask_blur_y
