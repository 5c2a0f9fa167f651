"""Poor man's outpainting: adds a border to a picture and inpaints it tile by tile.

Source: spec scripts.md 11.
"""

from typing import cast

import msgspec
from PIL import Image, ImageDraw

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.pictures.picture_files import MAX_PIXELS
from hexfusion.application.pictures.receiving import decoded
from hexfusion.application.pictures.tiles import combined
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
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.picture_boxes import Box, Size
from hexfusion.domain.scripts.arguments import FIELD, wrong
from hexfusion.domain.scripts.outpainting import (
    CONTENTS,
    POOR_MANS,
    SIDES,
    Growth,
    PoorMansOutpainting,
    growth,
)
from hexfusion.domain.tiles import box_count, boxes


def poor_mans_outpainting(arguments: PoorMansOutpainting, context: ScriptContext) -> PlayScript:
    """Extend the first picture; the request's width and height are a tile's.

    Tiles inside the old picture are kept, each other one is inpainted with seed + 1.
    """
    blur = arguments.blur * 2
    request = msgspec.structs.replace(
        cast(Img2Img, context.fixed()),
        mask_blur=blur,
        inpainting_fill=CONTENTS.index(arguments.content),
        inpaint_full_res=False,
        batch_size=1,
        n_iter=1,
    )
    assert context.pictures is not None
    old = InitPictures(context.pictures.images[:1])
    one = context.check(Work(request, old, saves=True))
    picture = old.images[0]
    if not arguments.sides:
        raise wrong(POOR_MANS, 3, "Outpainting direction", f"some of {', '.join(SIDES)}", [])
    tile, overlap = (request.width, request.height), arguments.pixels
    if overlap >= min(tile):
        said = f"below the tile's {min(tile)} pixels"
        raise wrong(POOR_MANS, 0, "Pixels to expand", said, overlap)
    grown = growth(picture.size, arguments.pixels, arguments.sides)
    size = grown.target
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidRequest(FIELD, f"{POOR_MANS} would make {size[0]}x{size[1]}: too large")
    check_batches(box_count(size, tile, overlap))  # before they are listed
    places = boxes(size, tile, overlap)
    todo = [place for place in places if not _inside(place, grown)]
    if not todo:
        raise InvalidRequest(FIELD, f"{POOR_MANS} would paint nothing")
    context.composed(one, generations=len(todo), count=1, size=size)

    def play(run: ScriptRun) -> ScriptOutcome:
        canvas = Image.new("RGB", size)
        canvas.paste(decoded(picture).convert("RGB"), (grown.left, grown.up))
        mask, latent = (frame(grown, size, margin) for margin in (blur, arguments.blur // 2))
        run.expect(len(todo))
        infotext, number = "", 0

        def painted(place: Box) -> Image.Image:
            """The tile, inpainted unless it is inside; tiles overlap, so they are cut one by one,
            all from the canvas as it was."""
            nonlocal infotext, number
            tile = canvas.crop(place)
            if _inside(place, grown):
                return tile
            parts = InitPictures([tile], mask.crop(place), latent.crop(place))
            this = msgspec.structs.replace(request, seed=request.seed + number)
            number += 1
            made = run.generate(
                Work(this, parts, samples=False, grid=False),
                f"Batch {number} out of {len(todo)}",
            )
            infotext = infotext or first_infotext(made)
            return next((each.image for each in pictures_of(made)), tile)

        result = combined(size, ((place, painted(place)) for place in places), overlap)
        run.save(result, infotext, seed=request.seed)
        return run.outcome([run.keep(result)], [infotext], seed=request.seed)

    return play


def _inside(place: Box, grown: Growth) -> bool:
    """Whether a tile is wholly inside the old picture."""
    left, top, right, bottom = place
    width, height = grown.target
    across = left >= grown.left and right <= width - grown.right
    return across and top >= grown.up and bottom <= height - grown.down


def frame(grown: Growth, size: Size, margin: int) -> Image.Image:
    """A mask ("L"): black in the old picture, reduced by `margin` pixels at growing sides."""
    width, height = size
    mask = Image.new("L", size, "white")
    inner = (
        grown.left + margin * (grown.left > 0),
        grown.up + margin * (grown.up > 0),
        width - grown.right - margin * (grown.right > 0),
        height - grown.down - margin * (grown.down > 0),
    )
    if inner[0] <= inner[2] and inner[1] <= inner[3]:
        ImageDraw.Draw(mask).rectangle(inner, fill="black")
    return mask
