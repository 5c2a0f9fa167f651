"""Reading a request's arguments for always-on scripts, and applying the scripts' effects.

Source: spec api.md 8 and 10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexfusion.application.planning import JobPlan
from hexfusion.application.scripts.always_on.script import AlwaysOn, Asked, Effect
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import Extra, parse_infotext
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import Arguments, arguments_from_infotext, read_arguments

FIELD = "alwayson_scripts"


@dataclass(frozen=True)
class Effects:
    """The effects of a generation's scripts in order, each with the value it read."""

    active: tuple[tuple[Effect[Any], Any], ...]

    def plan(self, plan: JobPlan) -> JobPlan:
        """The plan with all effects applied."""
        for effect, value in self.active:
            plan = effect.plan(value, plan)
        return plan

    def extra(self, plan: JobPlan) -> dict[str, Extra]:
        """Their infotext entries by label."""
        extra: dict[str, Extra] = {}
        for effect, value in self.active:
            extra |= effect.extra(value, plan)
        return extra


@dataclass(frozen=True)
class Given:
    """The always-on scripts of a request that have an effect, with their arguments."""

    scripts: tuple[tuple[Effect[Any], Arguments], ...] = ()

    def overrides(self) -> dict[str, object]:
        """Option overrides for the request, by key."""
        overrides: dict[str, object] = {}
        for effect, arguments in self.scripts:
            overrides |= effect.overrides(arguments)
        return overrides

    def effects(self, asked: Asked) -> Effects:
        """The scripts' effects on a generation. Raises as `Effect.read`."""
        read = ((effect, effect.read(arguments, asked)) for effect, arguments in self.scripts)
        return Effects(tuple((effect, value) for effect, value in read if value is not None))


def read_always_on(request: AnyRequest, scripts: Sequence[AlwaysOn], options: Options) -> Given:
    """Read a request's arguments for always-on scripts, named by title without case.

    Arguments left out are taken from the request's `infotext`, else the default. `options` are the
    stored ones. Raises `NotFound` for an unknown script,
    `InvalidRequest("alwayson_scripts" or "infotext", ...)` naming the argument that is wrong.
    """
    known = {each.title.lower(): each for each in scripts if isinstance(request, each.kinds)}
    entries = parse_infotext(request.infotext, options) if request.infotext else {}
    sent: dict[str, list[object]] = {}
    for name, value in request.alwayson_scripts.items():
        if name.lower() not in known:
            raise NotFound("script", name)
        sent.setdefault(name.lower(), []).append(value)
    given = []
    for title, script in known.items():
        if script.effect is None:
            continue
        kind = script.arguments_of(type(request), options)
        arguments = arguments_from_infotext(kind, entries)
        for value in sent.get(title, ()) if kind.__struct_fields__ else ():
            listed = _list(script.title, value)
            arguments = read_arguments(kind, script.title, listed, field=FIELD, missing=arguments)
        given.append((script.effect, arguments))
    return Given(tuple(given))


def _list(title: str, sent: object) -> Sequence[object]:
    if not isinstance(sent, Mapping):
        raise InvalidRequest(FIELD, f"{title}: must be an object with args")
    arguments = sent.get("args") or ()
    if not isinstance(arguments, Sequence) or isinstance(arguments, str):
        raise InvalidRequest(FIELD, f"{title}: args must be a list")
    return arguments
