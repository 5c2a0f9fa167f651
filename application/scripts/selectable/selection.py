"""Finding, preparing and running the script that a request selects. Source: spec api.md 8."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.kept import PictureKeeper
from hexfusion.application.results import Generated, in_time
from hexfusion.application.scripts.selectable.script_run import (
    PlainGeneration,
    ScriptContext,
    ScriptRun,
    Selectable,
    Work,
)
from hexfusion.application.scripts.selectable.script_tools import ScriptTools
from hexfusion.domain.errors import InvalidRequest, NotAlwaysOn, NotFound
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.job_limits import JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS
from hexfusion.domain.scripts import Arguments, read_arguments


@dataclass(frozen=True)
class SelectedScript:
    """A script and its arguments."""

    script: Selectable
    arguments: Arguments


def selected_script(request: AnyRequest, scripts: Sequence[Selectable]) -> SelectedScript | None:
    """The script that the request selects by title, without case; None if it selects none.

    Raises `NotFound` for an unknown one, `InvalidRequest` for wrong arguments, and `NotAlwaysOn`
    for a selectable script in `alwayson_scripts`.
    """
    titles = {each.title.lower() for each in scripts}
    if any(title.lower() in titles for title in request.alwayson_scripts):
        raise NotAlwaysOn
    if not request.script_name:
        return None
    wanted = request.script_name.lower()
    for each in scripts:
        if each.title.lower() == wanted:
            return SelectedScript(
                each, read_arguments(each.arguments, each.title, request.script_args)
            )
    raise NotFound("script", request.script_name)


def script_context(
    work: Work,
    options: Options,
    tools: ScriptTools,
    plain: PlainGeneration,
    limits: JobLimits,
    new_keeper: Callable[[], PictureKeeper],
) -> ScriptContext:
    """The context of a script; `options` are the stored ones with the request's overrides.

    Raises `InvalidRequest` for lists of prompts or seeds, which scripts do not support.
    """
    if work.lists != NO_LISTS:
        raise InvalidRequest("script_name", "does not go with lists of prompts or seeds")
    request = msgspec.structs.replace(work.request, script_name=None, script_args=[], infotext=None)
    return ScriptContext(
        request=request,
        options=options,
        tools=tools,
        plain=plain,
        pictures=work.pictures,
        limits=limits,
        new_keeper=new_keeper,
    )


def prepared_script(
    script: SelectedScript, context: ScriptContext, echo: AnyRequest
) -> Callable[[Job], Generated]:
    """Prepare the script; returns the function that generates when its job runs.

    `echo` is the request to return with the result. Raises errors in the request at once.
    """
    play = script.script.prepare(script.arguments, context)

    def make(job: Job) -> Generated:
        run = ScriptRun(job, context)
        with run.whole():
            outcome = play(run)
        assert run.last is not None, "a script generates"
        comments = [*(outcome.info.comments or ()), *run.comments]
        info = msgspec.structs.replace(
            outcome.info,
            infotexts=list(outcome.infotexts),
            index_of_first_image=outcome.first,
            comments=comments or msgspec.UNSET,
        )
        made = replace(
            run.last,
            pictures=tuple(outcome.pictures),
            request=echo,
            info=info,
            files=run.files,
        )
        return in_time(made, job)

    return make
