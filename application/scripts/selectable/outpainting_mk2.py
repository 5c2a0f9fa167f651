"""Outpainting mk2: extends a picture one side at a time, over noise that matches its content.

Source: spec scripts.md 10.
"""

from collections.abc import Sequence
from typing import cast

import msgspec
from PIL import Image, ImageDraw

from hexfusion.application.inpainting.init_pictures import ORIGINAL, InitPictures
from hexfusion.application.pictures.grids import GridTooLarge, grid_by_options
from hexfusion.application.pictures.kept import Fetched
from hexfusion.application.pictures.receiving import decoded
from hexfusion.application.results import Picture
from hexfusion.application.scripts.selectable.script_run import (
    PlayScript,
    ScriptContext,
    ScriptOutcome,
    ScriptRun,
    Work,
    check_batches,
    first_infotext,
    pictures_of,
)
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import MAX_SIDE
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.picture_boxes import Box, Size
from hexfusion.domain.scripts.arguments import FIELD, wrong
from hexfusion.domain.scripts.outpainting import MK2, SIDES, OutpaintingMk2, growth, rounded_up

BLUR = 4
"""The factor of the mask's blur."""


def outpainting_mk2(arguments: OutpaintingMk2, context: ScriptContext) -> PlayScript:
    """Extend the first picture at each side in turn, `batch_size` copies at once, `n_iter` times.

    Width and height bound the part that is generated, in the direction of growth. A job that is
    stopped does not extend the remaining sides.
    """
    sides = arguments.sides
    across, down = {"left", "right"} & set(sides), {"up", "down"} & set(sides)
    blur = (arguments.blur if across else 0, arguments.blur if down else 0)
    original = cast(Img2Img, context.request)
    request = msgspec.structs.replace(
        original,
        mask_blur=None,
        mask_blur_x=blur[0] * BLUR,
        mask_blur_y=blur[1] * BLUR,
        inpaint_full_res=False,
        inpainting_fill=ORIGINAL,
        n_iter=1,
    )
    assert context.pictures is not None
    first = InitPictures(context.pictures.images[:1])
    one = context.check(Work(request, first, saves=True))
    if not sides:
        raise wrong(MK2, 3, "Outpainting direction", f"some of {', '.join(SIDES)}", [])
    grown = growth(first.images[0].size, arguments.pixels, sides)
    if max(grown.target) > MAX_SIDE:
        size = "{}x{}".format(*grown.target)
        raise InvalidRequest(FIELD, f"{MK2} would make {size}; sides may have {MAX_SIDE} pixels")
    check_batches(original.n_iter * len(sides))
    context.limits.check_batch(grown.target, original.batch_size)
    context.composed(
        one,
        generations=original.n_iter * len(sides),
        count=original.n_iter * original.batch_size,
        size=grown.target,
    )

    def expanded(run: ScriptRun, pictures: list[Image.Image], side: str, text: str) -> Expanded:
        step = OutpaintStep(side, getattr(grown, side), pictures[0].size, blur, request)
        canvases = [
            context.tools.matched_noise(
                step.laid(each), step.mask, arguments.falloff, arguments.variation
            )
            for each in pictures
        ]
        width, height = step.working
        asked = msgspec.structs.replace(request, width=width, height=height)
        parts = [each.crop(step.part) for each in canvases]
        start = InitPictures(parts, step.mask.crop(step.part), step.latent_mask)
        made = run.generate(Work(asked, start, samples=False, grid=False), text)
        for canvas, each in zip(canvases, pictures_of(made), strict=False):
            canvas.paste(each.image, step.corner(each.image.size))
        return [each.crop((0, 0, *step.size)) for each in canvases], first_infotext(made)

    def play(run: ScriptRun) -> ScriptOutcome:
        run.expect(original.n_iter * len(sides))
        picture = decoded(first.images[0]).convert("RGB")
        results: list[Picture] = []
        infotext, seed = "", original.seed
        for number in range(original.n_iter):
            pictures = [picture] * original.batch_size
            for side in (each for each in SIDES if each in sides):
                if run.stopped and run.last is not None:
                    break
                text = f"Batch {number + 1} out of {original.n_iter}"
                pictures, made_infotext = expanded(run, pictures, side, text)
                if not infotext:
                    infotext, seed = made_infotext, run.last.info.seed if run.last else seed
            results += map(run.keep, pictures)
        return _shown(run, context, results, infotext, seed)

    return play


Expanded = tuple[list[Image.Image], str]
"""The pictures, and the infotext of the first."""


def _shown(
    run: ScriptRun, context: ScriptContext, results: Sequence[Picture], infotext: str, seed: int
) -> ScriptOutcome:
    options = context.options
    pictures = list(results)
    for each in results:
        run.save(each.image, infotext, seed=seed)
    if len(results) > 1 or not options.flag("grid_only_if_multiple"):
        images = Fetched([each.kept for each in results])
        try:
            grid = grid_by_options(images, len(results), options, context.limits)
        except GridTooLarge as error:
            run.left_out(error)
        else:
            run.save_grid(grid, infotext, seed=seed)
            if options.flag("return_grid"):
                pictures.insert(0, run.keep(grid))
    return run.outcome(pictures, [infotext] * len(pictures), seed=seed)


class OutpaintStep:
    """The geometry of extending one `side` `by` so many pixels: sizes, crop and masks.

    `old` is the picture's size, `blur` is (x, y) in pixels. Sizes are (width, height).
    """

    def __init__(self, side: str, by: int, old: Size, blur: Size, request: Img2Img) -> None:
        self.side, self._by, self._blur = side, by, blur
        across = side in ("left", "right")
        width, height = old
        self.size = (width + by, height) if across else (width, height + by)
        self.canvas = rounded_up(self.size[0]), rounded_up(self.size[1])
        self.working = (
            (min(request.width, self.size[0]), self.canvas[1])
            if across
            else (self.canvas[0], min(request.height, self.size[1]))
        )
        left, top = self.corner(self.working)
        self.part: Box = (left, top, left + self.working[0], top + self.working[1])
        self.mask = self._frame(self.canvas, self.canvas, 1)
        self.latent_mask = self._frame(self.working, self.working, 2)

    def laid(self, picture: Image.Image) -> Image.Image:
        """The picture pasted on its canvas, which is black where it grows."""
        canvas = Image.new("RGB", self.canvas)
        corner = {"left": (self._by, 0), "up": (0, self._by)}
        canvas.paste(picture, corner.get(self.side, (0, 0)))
        return canvas

    def corner(self, size: Size) -> tuple[int, int]:
        """The (left, top) of a piece of that size at the growing side of the canvas."""
        left = 0 if self.side == "left" else self.canvas[0] - size[0]
        top = 0 if self.side == "up" else self.canvas[1] - size[1]
        return left, top

    def _frame(self, size: Size, within: Size, times: int) -> Image.Image:
        """A mask ("RGB") of that size: black in the old picture, reduced by `times` the blur."""
        x, y = (self._by + times * each for each in self._blur)
        mask = Image.new("RGB", size, "white")
        inner = (
            x if self.side == "left" else 0,
            y if self.side == "up" else 0,
            within[0] - x if self.side == "right" else self.size[0],
            within[1] - y if self.side == "down" else self.size[1],
        )
        if inner[0] <= inner[2] and inner[1] <= inner[3]:
            ImageDraw.Draw(mask).rectangle(inner, fill="black")
        return mask
