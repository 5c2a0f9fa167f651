"""Prompt matrix: a picture for every combination of a prompt's parts (spec scripts.md 6)."""

import math
from collections.abc import Sequence

import msgspec

from hexfusion.application.pictures.captions import Caption, caption_style, captioned
from hexfusion.application.pictures.grids import GridTooLarge, image_grid
from hexfusion.application.pictures.kept import Fetched
from hexfusion.application.scripts.selectable.script_run import (
    PlayScript,
    ScriptContext,
    ScriptOutcome,
    ScriptRun,
    Work,
    pictures_of,
)
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import MAX_ITERATIONS
from hexfusion.domain.job_limits import JobAmount, JobFields, text_bytes
from hexfusion.domain.picture_lists import PictureLists
from hexfusion.domain.scripts.prompt_matrix import PromptMatrix, combinations, parts_of


def prompt_matrix(arguments: PromptMatrix, context: ScriptContext) -> PlayScript:
    """Generate all combinations at once, and put a captioned grid of them first."""
    request = context.fixed()
    positive = arguments.prompt == "positive"
    field = "prompt" if positive else "negative_prompt"
    parts = parts_of(getattr(request, field))
    most = (MAX_ITERATIONS * request.batch_size).bit_length() - 1
    if len(parts) - 1 > most:
        message = f"a matrix may have {most} parts that come and go, not {len(parts) - 1}"
        raise InvalidRequest(field, message)
    _check_amount(context, parts, field)
    prompts = combinations(parts, at_start=arguments.at_start, joined_by=arguments.joined_by)
    count = len(prompts)
    other = (request.negative_prompt if positive else request.prompt,) * count
    lists = PictureLists(
        prompts=prompts if positive else other,
        negative_prompts=other if positive else prompts,
        seeds=tuple(request.seed + (k if arguments.other_seeds else 0) for k in range(count)),
        subseeds=tuple(request.subseed + k for k in range(count)),
    )
    batches = msgspec.structs.replace(request, n_iter=math.ceil(count / request.batch_size))
    work = Work(batches, context.pictures, lists, grid=False, saves=True)
    context.check(work)
    letters = caption_style(context.options, context.tools.open_font)

    def play(run: ScriptRun) -> ScriptOutcome:
        made = run.generate(work)
        infotexts = made.info.infotexts
        pictures = pictures_of(made)
        if not pictures:
            return ScriptOutcome([], infotexts, made.info)
        images = Fetched([each.kept for each in pictures])
        rows, columns = _captions(parts[1:])
        shape = len(rows), len(columns)
        try:
            cells = image_grid(images, shape, letters.background, context.limits)
            size = images.cell
            grid = captioned(cells, size, columns, rows, letters, arguments.margin, context.limits)
        except GridTooLarge as error:
            run.left_out(error)
            return ScriptOutcome(made.pictures, infotexts, made.info)
        run.save_grid(grid, None, seed=request.seed, basename="prompt_matrix")
        everything = [run.keep(grid), *made.pictures]
        return ScriptOutcome(everything, [infotexts[0], *infotexts], made.info, first=1)

    return play


def _check_amount(context: ScriptContext, parts: Sequence[str], field: str) -> None:
    """Raises `InvalidRequest` for a matrix too large to be made, before its prompts are."""
    count = 1 << (len(parts) - 1)
    whole = text_bytes(parts[0]) * count
    optional = sum(map(text_bytes, parts[1:])) * count // 2  # each is in half of the prompts
    context.limits.check(JobAmount(pictures=count, text=whole + optional), JobFields.all(field))


Captions = list[list[Caption]]


def _captions(parts: Sequence[str]) -> tuple[Captions, Captions]:
    """Captions of rows and columns: each lists its parts, present or absent (images.md 13.3)."""
    across = math.ceil(len(parts) / 2)
    return _of_each_choice(parts[across:]), _of_each_choice(parts[:across])


def _of_each_choice(parts: Sequence[str]) -> Captions:
    return [
        [Caption(part, bool(number >> bit & 1)) for bit, part in enumerate(parts)]
        for number in range(1 << len(parts))
    ]
