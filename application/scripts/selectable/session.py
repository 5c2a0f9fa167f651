"""A request that selects a script: found, checked, and played. Source: spec api.md 8."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from hexfusion.application.jobs.job import Job
from hexfusion.application.results import Generated
from hexfusion.application.scripts.selectable.stage import Plain, Selectable, Setting, Stage, Work
from hexfusion.application.scripts.selectable.tools import Tools
from hexfusion.domain.errors import InvalidRequest, NotAlwaysOn, NotFound
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS
from hexfusion.domain.scripts import Arguments, read_arguments


@dataclass(frozen=True)
class Selected:
    """A script and its arguments."""

    script: Selectable
    arguments: Arguments


def selected(request: AnyRequest, scripts: Sequence[Selectable]) -> Selected | None:
    """The script that the request selects by its title, in any case; None where it selects none.

    Raises `NotFound` for one that there is not, `InvalidRequest` for wrong arguments, or for one
    among those that are always on.
    """
    titles = {each.title.lower() for each in scripts}
    if any(title.lower() in titles for title in request.alwayson_scripts):
        raise NotAlwaysOn
    if not request.script_name:
        return None
    wanted = request.script_name.lower()
    for each in scripts:
        if each.title.lower() == wanted:
            return Selected(each, read_arguments(each.arguments, each.title, request.script_args))
    raise NotFound("script", request.script_name)


def setting_of(
    work: Work,
    options: Options,
    tools: Tools,
    plain: Plain,
) -> Setting:
    """What a script is asked for with; `options` are as the request sees them.

    Raises `InvalidRequest` for lists, which are no script's.
    """
    if work.lists != NO_LISTS:
        raise InvalidRequest("script_name", "does not go with lists of prompts or seeds")
    request = msgspec.structs.replace(work.request, script_name=None, script_args=[], infotext=None)
    return Setting(
        request=request,
        options=options,
        tools=tools,
        plain=plain,
        pictures=work.pictures,
    )


def prepared(script: Selected, setting: Setting, echo: AnyRequest) -> Callable[[Job], Generated]:
    """What makes the pictures when its job has its turn, as for a plain request; `echo` is the
    request as it was understood. Raises, at once, what is wrong with it."""
    play = script.script.prepare(script.arguments, setting)

    def make(job: Job) -> Generated:
        stage = Stage(job, setting)
        outcome = play(stage)
        assert stage.last is not None, "a script generates"
        info = msgspec.structs.replace(
            outcome.info,
            infotexts=list(outcome.infotexts),
            index_of_first_image=outcome.first,
        )
        return replace(
            stage.last,
            pictures=tuple(outcome.pictures),
            request=echo,
            info=info,
            files=stage.files,
        )

    return make
