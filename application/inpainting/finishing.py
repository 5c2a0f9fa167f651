"""What is done with a picture once it is made. Source: spec images.md 7.2."""

from dataclasses import dataclass, replace

from PIL import Image, ImageFilter

from hexfusion.application.inpainting.color_matching import ColourHistograms, match_colours
from hexfusion.application.inpainting.overlays import masked_part, overlay_of, placed, under
from hexfusion.application.pictures.resizing import FILL, fit
from hexfusion.application.pictures.upscaling import Upscale
from hexfusion.domain.picture_boxes import Box, Size

SOFTNESS = 4
"""Radius that a mask of changes is blurred with, pixels."""


@dataclass(frozen=True)
class FinishedPicture:
    """A picture of the result, and what goes with it where there is a mask: the mask (RGB), what
    was masked (RGBA), and the picture before its colours were matched. `before_faces` is what the
    backend made, where its faces were restored."""

    image: Image.Image
    mask: Image.Image | None = None
    masked: Image.Image | None = None
    before_colours: Image.Image | None = None
    before_faces: Image.Image | None = None


@dataclass(frozen=True)
class PictureFinisher:
    """How one picture of a batch is put back into the one it was made from.

    `mask` ("L", of the size of `original`) says where the new one shows; None: everywhere. Without
    `covered` it shows everywhere all the same. `place` is where in the original it belongs, None
    if it is the whole. `colours` are those it is to have.
    """

    original: Image.Image | None = None
    mask: Image.Image | None = None
    covered: bool = True
    place: Box | None = None
    colours: ColourHistograms | None = None
    upscale: Upscale | None = None

    def revealing(self, changed: Image.Image, size: Size) -> "PictureFinisher":
        """The same, but what shows is where the picture made at that size `changed` (spec images.md
        8)."""
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
        """Finish what the backend made, RGB."""
        before = None
        if self.colours is not None:
            before, _ = self._put_back(picture)
            picture = match_colours(picture, self.colours)
        image, bare = self._put_back(picture)
        if self.mask is None:
            return FinishedPicture(image, before_colours=before)
        masked = masked_part(bare, self.mask)
        return FinishedPicture(image, self.mask.convert("RGB"), masked, before)

    def _put_back(self, picture: Image.Image) -> tuple[Image.Image, Image.Image]:
        """The picture under what is kept of the original, and without it."""
        if self.original is None or self.mask is None or not self.covered:
            return picture, picture
        if self.place is not None:
            picture = placed(picture, self.original.size, self.place, self.upscale)
        return under(picture, overlay_of(self.original, self.mask)), picture
