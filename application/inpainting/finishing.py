"""Composes result pictures: colour correction, and the overlay of the original.

Source: spec images.md 7.2.
"""

from dataclasses import dataclass, replace

from PIL import Image, ImageFilter

from hexfusion.application.inpainting.color_matching import ColourHistograms, match_colours
from hexfusion.application.inpainting.overlays import masked_part, overlay_of, placed, under
from hexfusion.application.pictures.resizing import FILL, fit
from hexfusion.application.pictures.upscaling import Upscale
from hexfusion.domain.picture_boxes import Box, Size

SOFTNESS = 4
"""Blur radius (sigma) in pixels of the mask of changes in soft inpainting."""


@dataclass(frozen=True)
class FinishedPicture:
    """A result picture, and its intermediate pictures where they exist.

    Inpainting has the mask as its `shape` ("L"), and the `bare` picture without the kept part of
    the original. `before_colours` is the picture before colour correction, `before_faces` the
    backend's picture before face restoration.
    """

    image: Image.Image
    shape: Image.Image | None = None
    bare: Image.Image | None = None
    before_colours: Image.Image | None = None
    before_faces: Image.Image | None = None

    @property
    def mask(self) -> Image.Image | None:
        """The mask (RGB), as it is shown; made anew each time, since few ask for it."""
        return self.shape.convert("RGB") if self.shape else None

    @property
    def masked(self) -> Image.Image | None:
        """The masked part of the picture (RGBA); made anew each time."""
        return masked_part(self.bare, self.shape) if self.bare and self.shape else None


@dataclass(frozen=True)
class PictureFinisher:
    """Composes one picture of a batch with the original picture it was made from.

    `mask` ("L", of the size of `original`) is white where the new picture shows; None: everywhere.
    Without `covered` (option overlay_inpaint) the mask is not applied. `place` is the box of the
    original that was repainted, None for the whole. `colours` are the histograms for colour
    correction, None without it. `upscale` enlarges the picture to its place.
    """

    original: Image.Image | None = None
    mask: Image.Image | None = None
    covered: bool = True
    place: Box | None = None
    colours: ColourHistograms | None = None
    upscale: Upscale | None = None

    def revealing(self, changed: Image.Image, size: Size) -> "PictureFinisher":
        """A copy whose mask shows the new picture where it `changed` (soft inpainting).

        `changed` ("L") is white where the picture changed; `size` is the size it was made at, in
        pixels. Source: spec images.md 8.
        """
        if self.original is None:
            return self
        mask = fit(changed, size, FILL, field="mask").convert("L")
        mask = mask.filter(ImageFilter.GaussianBlur(SOFTNESS))
        if self.place is not None:
            mask = placed(mask, self.original.size, self.place).convert("L")
        elif mask.size != self.original.size:
            mask = fit(mask, self.original.size, FILL, field="mask").convert("L")
        return replace(self, mask=mask)

    def __call__(self, picture: Image.Image) -> FinishedPicture:
        """Compose the result from a picture (RGB) of the backend."""
        before = None
        if self.colours is not None:
            before, _ = self._put_back(picture)
            picture = match_colours(picture, self.colours)
        image, bare = self._put_back(picture)
        if self.mask is None:
            return FinishedPicture(image, before_colours=before)
        return FinishedPicture(image, self.mask, bare, before)

    def _put_back(self, picture: Image.Image) -> tuple[Image.Image, Image.Image]:
        """(picture with the kept part of the original on top, picture without it)."""
        if self.original is None or self.mask is None or not self.covered:
            return picture, picture
        if self.place is not None:
            picture = placed(picture, self.original.size, self.place, self.upscale)
        return under(picture, overlay_of(self.original, self.mask)), picture
