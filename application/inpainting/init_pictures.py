"""Prepares the init pictures of an img2img job. Source: spec images.md 1 (order of work)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from hexfusion.application.inpainting.color_matching import colour_histograms
from hexfusion.application.inpainting.finishing import PictureFinisher
from hexfusion.application.inpainting.masked_content import fill
from hexfusion.application.inpainting.request_mask import Inpainting, read_inpainting
from hexfusion.application.pictures.picture_files import flatten
from hexfusion.application.pictures.receiving import Received, Source, decoded
from hexfusion.application.pictures.resizing import FILL, LATENT, fit
from hexfusion.application.pictures.upscaling import Upscale
from hexfusion.application.ports.inference import Sources
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import MAX_SIDE
from hexfusion.domain.geometry import CELL
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.picture_boxes import Size

ORIGINAL = 1
"""The value of inpainting_fill that leaves the masked part unchanged."""


@dataclass(frozen=True)
class InitPictures:
    """The init pictures (one or more) and mask of a request; those that were received are decoded
    when they are used, one after the other.

    A script may give a `latent_mask`, of the size of the generation: it selects what is repainted,
    while `mask` selects what of it shows.
    """

    images: Sequence[Source]
    mask: Source | None = None
    latent_mask: Image.Image | None = None

    @property
    def pixels(self) -> int:
        """The pixels of all pictures that are yet to be decoded."""
        given = (*self.images, self.mask)
        return sum(each.pixels for each in given if isinstance(each, Received))


@dataclass(frozen=True)
class PreparedPictures:
    """The input pictures of a batch, and how its results are composed.

    There is one source and one finisher for each picture of the batch. `inpainting` is None if the
    whole picture is repainted.
    """

    sources: Sources
    finishes: Sequence[PictureFinisher]
    inpainting: Inpainting | None = None


def prepare_pictures(
    request: Img2Img,
    options: Options,
    pictures: InitPictures,
    batch_size: int,
    upscale: Upscale | None = None,
    *,
    colours: Image.Image | None = None,
) -> PreparedPictures:
    """Prepare the pictures for encoding: background, mask, resizing, masked content.

    A single picture is used for the whole batch. `upscale` makes enlargements. `colours` (RGB) is
    the reference of the colour correction, by default each picture's own original.

    Raises `InvalidRequest` naming a field or option that is invalid, or a picture that is damaged.
    """
    inpainting = None
    if pictures.mask is not None:
        size = request.width, request.height
        inpainting = read_inpainting(request, decoded(pictures.mask), size)
    if inpainting is not None and pictures.latent_mask is not None:
        inpainting = replace(
            inpainting, working=pictures.latent_mask.convert("L"), seen=inpainting.working
        )
    ready = [
        _ready(each, request, options, inpainting, upscale, colours) for each in pictures.images
    ]
    if len(ready) == 1:
        ready *= batch_size
    return PreparedPictures(
        sources=Sources(
            [image for image, _ in ready],
            inpainting.working if inpainting else None,
            inpainting.seen if inpainting else None,
        ),
        finishes=[finish for _, finish in ready],
        inpainting=inpainting,
    )


def _ready(
    source: Source,
    request: Img2Img,
    options: Options,
    inpainting: Inpainting | None,
    upscale: Upscale | None,
    colours: Image.Image | None,
) -> tuple[Image.Image, PictureFinisher]:
    """(picture to encode, finisher for its result)."""
    size: Size = (request.width, request.height)
    box = inpainting.box if inpainting else None
    colour = "img2img_background_color"
    image = flatten(decoded(source), options.text(colour), colour)
    if box is None and request.resize_mode != LATENT:
        image = fit(image, size, request.resize_mode, upscale)
    original, mask = image, None
    if box is not None:
        image = fit(image.crop(box), size, FILL, upscale)
    if inpainting is not None:
        mask = inpainting.overlay
        if mask.size != original.size:
            mask = fit(mask, original.size, request.resize_mode, field="mask").convert("L")
        if request.inpainting_fill != ORIGINAL:
            image = fill(image, inpainting.working)
    _check_size(image)
    matched = options.flag("img2img_color_correction")
    return image, PictureFinisher(
        original=original,
        mask=mask,
        covered=options.flag("overlay_inpaint"),
        place=box,
        colours=colour_histograms(colours or image) if matched else None,
        upscale=upscale,
    )


def _check_size(image: Image.Image) -> None:
    """Checks the side lengths, which are free only in the mode that stretches the latent."""
    if min(image.size) < CELL or max(image.size) > MAX_SIDE:
        size = "{}x{}".format(*image.size)
        message = f"sides may have {CELL} to {MAX_SIDE} pixels in resize mode {LATENT}, not {size}"
        raise InvalidRequest("init_images", message)
