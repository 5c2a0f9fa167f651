"""What an always-on script is. Source: spec scripts.md 1, 3 and 14."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from hexfusion.application.planning import JobPlan
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.infotext import Extra
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import Arguments, infotext_of

V = TypeVar("V")


@dataclass(frozen=True)
class Asked:
    """What a script decides by: a request, the options with the request's overrides, and whether
    there is a mask."""

    request: AnyRequest
    options: Options
    masked: bool = False


class Effect(Protocol[V]):
    """What a script does to a generation, in the order of these methods. Inherit, and define what
    it takes part in.

    All are pure: values in, values out. What they raise is the error of that job.
    """

    def overrides(self, arguments: Any) -> Mapping[str, object]:
        """Options that hold for this request, by key; its own `override_settings` go before."""
        return {}

    def read(self, arguments: Any, asked: Asked) -> V | None:
        """What the others are given, from arguments that were checked one by one already; None
        where there is nothing to do. Raises `InvalidRequest("alwayson_scripts", ...)` for arguments
        that do not go together, or with the request."""
        ...

    def plan(self, value: V, plan: JobPlan) -> JobPlan:
        """The plan, changed."""
        return plan

    def extra(self, value: V, plan: JobPlan) -> Mapping[str, Extra]:
        """What infotext tells of it, by label; the plan is the one that is carried out. Of
        arguments, what they have labels for."""
        return infotext_of(value) if isinstance(value, Arguments) else {}


@dataclass(frozen=True)
class AlwaysOn:
    """A script that is always on.

    `arguments` name what a request may send it, in order, and what is listed. Without an `effect`
    it is a part of A1111's form alone: what it is sent is not looked at, as there, for fields of
    the request do what it would. Nor is what is sent to one without arguments.

    `declare` names the arguments instead where the stored options decide which there are.

    `listing` says what clients see: its title in lower case and its arguments, its title as it is,
    or nothing at all (spec scripts.md 3).
    """

    title: str
    arguments: type[Arguments] = Arguments
    declare: Callable[[type[AnyRequest], Options], type[Arguments]] | None = None
    kinds: tuple[type[AnyRequest], ...] = (Txt2Img, Img2Img)
    effect: Effect[Any] | None = None
    listing: Literal["described", "named", "hidden"] = "described"

    def arguments_of(self, kind: type[AnyRequest], options: Options) -> type[Arguments]:
        """Those that such a request may send while these are the stored options."""
        return self.declare(kind, options) if self.declare else self.arguments

    @property
    def name(self) -> str:
        """As it is listed."""
        return self.title if self.listing == "named" else self.title.lower()
