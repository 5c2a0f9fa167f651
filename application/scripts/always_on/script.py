"""`AlwaysOn`, an always-on script, and `Effect`, what it does. Source: spec scripts.md 1, 3, 14."""

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
    """What a script decides by: the request, the options with its overrides, and whether it is
    `masked`."""

    request: AnyRequest
    options: Options
    masked: bool = False


class Effect(Protocol[V]):
    """What a script does to a generation; the methods are called in this order.

    Inherit, and override those that are needed. All are pure functions; their errors fail the job.
    """

    def overrides(self, arguments: Any) -> Mapping[str, object]:
        """Option overrides for this request, by key; its `override_settings` take precedence."""
        return {}

    def read(self, arguments: Any, asked: Asked) -> V | None:
        """The value for `plan` and `extra`; None if there is nothing to do.

        Each of the arguments was checked already. Raises `InvalidRequest("alwayson_scripts", ...)`
        for arguments that conflict with each other, or with the request.
        """
        ...

    def plan(self, value: V, plan: JobPlan) -> JobPlan:
        """The changed plan."""
        return plan

    def extra(self, value: V, plan: JobPlan) -> Mapping[str, Extra]:
        """Infotext entries by label; `plan` is the final plan.

        By default, if the value is `Arguments`, those that have infotext labels.
        """
        return infotext_of(value) if isinstance(value, Arguments) else {}


@dataclass(frozen=True)
class AlwaysOn:
    """An always-on script.

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
        """The arguments for requests of that kind under the stored `options`."""
        return self.declare(kind, options) if self.declare else self.arguments

    @property
    def name(self) -> str:
        """The name in lists of scripts."""
        return self.title if self.listing == "named" else self.title.lower()
