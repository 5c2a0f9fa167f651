"""SD upscale: upscales a picture, then runs img2img over its tiles. Source: spec scripts.md 9."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import msgspec
from PIL.Image import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.pictures.picture_files import MAX_PIXELS, flatten
from hexfusion.application.pictures.receiving import decoded
from hexfusion.application.pictures.tiles import combined
from hexfusion.application.pictures.upscaling import upscaled_size
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
from hexfusion.domain.infotext import Extra
from hexfusion.domain.picture_boxes import Box, Size
from hexfusion.domain.scripts.arguments import FIELD, chosen, wrong
from hexfusion.domain.scripts.sd_upscale import TITLE, SdUpscale
from hexfusion.domain.tiles import box_count, boxes
from hexfusion.domain.upscalers import upscale_settings


def sd_upscale(arguments: SdUpscale, context: ScriptContext) -> PlayScript:
    """Upscale the request's first picture; the request's width and height are a tile's.

    `batch_size` tiles are one generation, each with seed + 1. All is done `n_iter` times, each time
    starting with seed + 1. When the job is stopped, the remaining tiles are only upscaled (A1111
    leaves them black).
    """
    request = cast(Img2Img, context.fixed())
    assert context.pictures is not None
    first = InitPictures(context.pictures.images[:1], context.pictures.mask)
    one = context.check(Work(msgspec.structs.replace(request, n_iter=1), first, saves=True))
    tile, overlap = (request.width, request.height), arguments.overlap
    if overlap >= min(tile):
        raise wrong(TITLE, 1, "Tile overlap", f"below the tile's {min(tile)} pixels", overlap)
    settings = upscale_settings(context.options)
    names = [each.name for each in context.tools.upscaler.list(settings)]
    try:
        upscaler = chosen(arguments.upscaler, names)
    except ValueError as error:
        raise wrong(TITLE, 2, "Upscaler", str(error), arguments.upscaler) from error
    context.tools.upscaler.check(upscaler, settings)
    picture = context.pictures.images[0]
    size = picture.size if upscaler == "None" else upscaled_size(picture.size, arguments.factor)
    _check_size(size)
    groups = math.ceil(box_count(size, tile, overlap) / request.batch_size)
    check_batches(groups * request.n_iter)
    context.composed(one, generations=groups * request.n_iter, count=request.n_iter, size=size)
    extra: dict[str, Extra] = {"SD upscale overlap": overlap, "SD upscale upscaler": upscaler}
    sent, colour = context.pictures.mask, "img2img_background_color"

    def play(run: ScriptRun) -> ScriptOutcome:
        flat = flatten(decoded(picture), context.options.text(colour), colour)
        mask = None if sent is None else decoded(sent)
        large = run.enlarge(flat, arguments.factor, upscaler)
        places = boxes(large.size, tile, overlap)
        groups = math.ceil(len(places) / request.batch_size)
        run.expect(groups * request.n_iter)

        def repaint(tiles: Sequence[Image], seed: int, number: int) -> list[Image]:
            group = msgspec.structs.replace(request, seed=seed, n_iter=1)
            work = Work(group, InitPictures(tiles, mask), extra=extra, samples=False, grid=False)
            made = run.generate(work, f"Batch {number + 1} out of {groups * request.n_iter}")
            infotexts.append(first_infotext(made))
            return [each.image for each in pictures_of(made)]

        infotexts: list[str] = []
        results = []
        for number in range(request.n_iter):
            seed = request.seed + number
            made = _repainted(large, places, request.batch_size, repaint, seed, number * groups)
            result = combined(large.size, zip(places, made, strict=True), overlap)
            run.save(result, infotexts[0], seed=seed)
            results.append(run.keep(result))
        return run.outcome(results, infotexts[:1] * len(results), seed=request.seed)

    return play


def _repainted(
    picture: Image,
    places: Sequence[Box],
    group: int,
    repaint: Callable[[Sequence[Image], int, int], list[Image]],
    seed: int,
    number: int,
) -> Iterator[Image]:
    """All tiles repainted, `group` at a time; `number` is the number of groups before.

    Tiles overlap, so all of them would take several times the picture's memory.
    """
    for start in range(0, len(places), group):
        tiles = [picture.crop(place) for place in places[start : start + group]]
        step = start // group
        made = repaint(tiles, seed + step, number + step)
        # One tile that is left over is repainted for a whole group, as in A1111.
        made = made[: len(tiles)]
        yield from (*made, *tiles[len(made) :])


def _check_size(size: Size) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        message = f"{TITLE} would make {width}x{height}; a picture may have {MAX_PIXELS} pixels"
        raise InvalidRequest(FIELD, message)
