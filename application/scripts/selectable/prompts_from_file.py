"""Prompts from file or textbox: one generation for each line. Source: spec scripts.md 7."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hexfusion.application.results import Generated
from hexfusion.application.scripts.selectable.script_run import (
    PlayScript,
    ScriptContext,
    ScriptOutcome,
    ScriptRun,
    Work,
    check_batches,
)
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.job_limits import NOTHING, JobAmount
from hexfusion.domain.sampling.names import resolve_request
from hexfusion.domain.scripts.arguments import FIELD
from hexfusion.domain.scripts.prompts_from_file import (
    TITLE,
    PromptsFromFile,
    Value,
    lines_of,
    read_line,
)
from hexfusion.domain.seeds import resolve_seed

#: Options of a line that have the name of a request's field.
_FIELDS = (
    "seed", "subseed", "subseed_strength", "seed_resize_from_h", "seed_resize_from_w",
    "batch_size", "n_iter", "steps", "cfg_scale", "width", "height", "restore_faces", "tiling",
    "sampler_name",
)  # fmt: skip


def prompts_from_file(arguments: PromptsFromFile, context: ScriptContext) -> PlayScript:
    """Generate the request once for each line, with the line's options; returns every picture.

    `info` is that of the request before generation, as in A1111.
    """
    request = context.request
    if arguments.iterate or arguments.same_seed:
        seed = resolve_seed(request.seed, context.tools.draw_seed)
        request = msgspec.structs.replace(request, seed=seed)
    step = request.batch_size * request.n_iter if arguments.iterate else 0
    works, amount = [], NOTHING
    lines = lines_of(arguments.lines)
    context.check_amount(JobAmount(pictures=len(lines)))
    for number, line in enumerate(lines):
        own = msgspec.structs.replace(request, seed=request.seed + number * step)
        try:
            work = _work(read_line(line), own, arguments, context)
        except NotFound:  # unknown checkpoint: the line is a prompt, as for any malformed option
            work = _work({"prompt": line}, own, arguments, context)
        try:
            amount += context.check(work)
        except InvalidRequest as error:
            raise InvalidRequest(FIELD, f"{TITLE}: {line[:80]!r}: {error}") from error
        context.check_amount(amount)
        works.append(work)
    if not works:
        raise InvalidRequest(FIELD, f"{TITLE}: there is no line that says anything")
    batches = [work.request.n_iter for work in works]
    check_batches(sum(batches))
    request = msgspec.structs.replace(request, seed=request.seed + len(works) * step)

    def play(run: ScriptRun) -> ScriptOutcome:
        run.expect(sum(batches))
        made: list[Generated] = []
        for number, work in enumerate(works):
            text = f"{sum(batches[:number]) + 1} out of {sum(batches)}"
            made.append(run.generate(work, text))
        return ScriptOutcome(
            [picture for each in made for picture in each.pictures],
            [text for each in made for text in each.info.infotexts],
            msgspec.structs.replace(made[-1].info, **_told(request, context, made)),
        )

    return play


def _work(
    said: Mapping[str, Value],
    request: AnyRequest,
    arguments: PromptsFromFile,
    context: ScriptContext,
) -> Work:
    """The generation of one line, whose options are `said`. Raises `NotFound` for a checkpoint."""
    changes: dict[str, Any] = {name: said[name] for name in _FIELDS if name in said}
    overrides = dict(request.override_settings or {})
    if "sd_model" in said:
        overrides["sd_model_checkpoint"] = context.tools.closest(str(said["sd_model"])).name
    if "styles" in said:
        changes["styles"] = [name.strip() for name in str(said["styles"]).split(",")]
    kind = "txt2img" if isinstance(request, Txt2Img) else "img2img"
    for folder in ("samples", "grids"):
        if (path := said.get(f"outpath_{folder}")) is not None:
            overrides[f"outdir_{kind}_{folder}"] = path
    for name in ("prompt", "negative_prompt"):
        own = getattr(request, name)
        if text := said.get(name):
            both = (text, own) if arguments.place == "start" else (own, text)
            changes[name] = " ".join(map(str, both)) if own else text
    return Work(
        msgspec.structs.replace(request, **changes, override_settings=overrides or None),
        context.pictures,
        samples=_unless(said.get("do_not_save_samples")),
        grid=_unless(said.get("do_not_save_grid")),
    )


def _unless(said: Value | None) -> bool | None:
    return None if said is None else not said


def _told(request: AnyRequest, context: ScriptContext, made: Sequence[Generated]) -> dict[str, Any]:
    """Fields of `info` for the request as it was before generation."""
    sampler, _ = resolve_request(request.sampler_name, request.sampler_index, request.scheduler)
    prompts = [prompt for each in made for prompt in each.info.all_prompts]
    extra: dict[str, Any] = {}
    for each in made:
        extra |= each.info.extra_generation_params
    same = (
        "cfg_scale",
        "steps",
        "batch_size",
        "width",
        "height",
        "subseed_strength",
        "seed_resize_from_w",
        "seed_resize_from_h",
        "denoising_strength",
        "restore_faces",
    )
    unknown = ("face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name",
               "sd_vae_hash")  # fmt: skip
    return {
        **{name: getattr(request, name) for name in same},
        **dict.fromkeys(unknown),
        "prompt": prompts[0],
        "all_prompts": prompts,
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt],
        "seed": request.seed,
        "all_seeds": [request.seed],
        "subseed": -1,
        "all_subseeds": [-1],
        "sampler_name": sampler.name,
        "clip_skip": context.options.integer("CLIP_stop_at_last_layers"),
        "styles": list(request.styles or []),
        "extra_generation_params": extra,
        "is_using_inpainting_conditioning": False,
    }
