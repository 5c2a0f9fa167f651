"""Loopback: repeated img2img, each time from the picture made before (spec scripts.md 8)."""

from typing import cast

import msgspec
from PIL.Image import Image

from hexfusion.application.inpainting.init_pictures import ORIGINAL, InitPictures
from hexfusion.application.pictures.grids import GridTooLarge, image_grid
from hexfusion.application.pictures.kept import Fetched
from hexfusion.application.pictures.picture_files import flatten
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
from hexfusion.domain.errors import Unsupported
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.infotext import Extra
from hexfusion.domain.scripts.arguments import FIELD
from hexfusion.domain.scripts.loopback import TITLE, Loopback, strength_of

CAPTIONS = {"CLIP": "clip", "DeepBooru": "deepdanbooru"}
"""The interrogation model for each choice of captions."""


def loopback(arguments: Loopback, context: ScriptContext) -> PlayScript:
    """Make `n_iter` chains of `loops` pictures, each from the one before, with seed + 1.

    A single chain returns all its pictures, several return their last ones. Skip ends a chain.
    """
    request = cast(Img2Img, context.fixed())
    chains, loops = request.n_iter, arguments.loops
    request = msgspec.structs.replace(request, batch_size=1, n_iter=1)
    extra: dict[str, Extra] = {
        "Final denoising strength": arguments.final_strength,
        "Denoising curve": arguments.curve,
    }
    one = context.check(Work(request, context.pictures, extra=extra, saves=True))
    check_batches(chains * loops)
    context.check_amount(one * (chains * loops))
    model = CAPTIONS.get(arguments.caption)
    if model and context.tools.words is None:
        raise Unsupported(FIELD, f"{TITLE}: nobody here finds words for pictures")
    assert context.pictures is not None
    original = context.pictures
    background = context.options.text("grid_background_color")
    colour = "img2img_background_color"

    def flattened(picture: Image) -> Image:
        return flatten(picture, context.options.text(colour), colour)

    def play(run: ScriptRun) -> ScriptOutcome:
        first = flattened(decoded(original.images[0]))
        run.expect(chains * loops)
        results: list[Picture] = []
        infotexts: list[str] = []
        seed, strength = request.seed, request.denoising_strength

        def chain(number: int) -> list[Picture]:
            nonlocal seed, strength
            pictures, content, made = original, request.inpainting_fill, []
            strength = request.denoising_strength
            for loop in range(loops):
                prompt = request.prompt
                if model:
                    words = run.words(flattened(decoded(pictures.images[0])), model)
                    prompt = ", ".join(filter(None, (prompt, words)))
                one = msgspec.structs.replace(
                    request,
                    prompt=prompt,
                    seed=seed,
                    denoising_strength=strength,
                    inpainting_fill=content,
                )
                work = Work(one, pictures, extra=extra, grid=False, colours=first)
                text = f"Iteration {loop + 1}/{loops}, batch {number + 1}/{chains}"
                result = run.generate(work, text)
                infotexts.append(first_infotext(result))
                if run.stopped:
                    break
                seed += 1
                strength = strength_of(loop + 1, request.denoising_strength, arguments)
                if run.skipped:
                    break
                made += pictures_of(result)[:1]
                pictures, content = InitPictures([made[-1].image], original.mask), ORIGINAL
            return made

        for number in range(chains):
            made = chain(number)
            if chains == 1:
                results += made
            elif len(made) == loops:
                results += made[-1:]
            if run.stopped:
                break
        pictures = list(results)
        if len(results) > 1:
            images = Fetched([each.kept for each in results])
            try:
                grid = image_grid(images, (1, len(images)), background, context.limits)
            except GridTooLarge as error:
                run.left_out(error)
            else:
                run.save_grid(grid, None, seed=request.seed)
                if context.options.flag("return_grid"):
                    pictures.insert(0, run.keep(grid))
        texts = infotexts[:1] * len(pictures)
        return run.outcome(pictures, texts, seed=request.seed, denoising_strength=strength)

    return play
