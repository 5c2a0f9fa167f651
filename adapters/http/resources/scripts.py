"""Routes that list scripts and their arguments. Source: spec api.md 14, scripts.md 3 and 16."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.domain.scripts import Script, ScriptArgument


class ScriptsList(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the scripts of txt2img and img2img."""

    txt2img: list[str]
    img2img: list[str]


class ScriptArg(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of a script; null where a member does not apply to its kind."""

    label: str
    value: Annotated[Any, Meta(description="The default.")]
    minimum: float | int | None
    maximum: float | int | None
    step: float | int | None
    choices: list[str] | None


class ScriptInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A script and its arguments, in order."""

    name: str
    is_alwayson: Annotated[bool, Meta(description="False: chosen by `script_name`.")]
    is_img2img: bool
    args: list[ScriptArg]


class ExtensionItem(msgspec.Struct, frozen=True, kw_only=True):
    """An extension that is a git checkout."""

    name: str
    remote: str
    branch: str
    commit_hash: str
    version: Annotated[str, Meta(description="The first eight digits of the hash.")]
    commit_date: Annotated[str, Meta(description="Seconds since 1970, as text.")]
    enabled: bool


class Scripts:
    """`GET /sdapi/v1/scripts`"""

    def __init__(self, scripts: Callable[[], Sequence[Script]]) -> None:
        self._scripts = scripts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        names: dict[bool, list[str]] = {False: [], True: []}
        for each in self._scripts():
            names[each.of_pictures].append(each.name)
        send_json(resp, ScriptsList(txt2img=names[False], img2img=names[True]))


class ScriptInfos:
    """`GET /sdapi/v1/script-info`"""

    def __init__(self, scripts: Callable[[], Sequence[Script]]) -> None:
        self._scripts = scripts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                ScriptInfo(
                    name=each.name,
                    is_alwayson=each.always_on,
                    is_img2img=each.of_pictures,
                    args=[_argument(argument) for argument in each.arguments],
                )
                for each in self._scripts()
                if each.arguments is not None
            ],
        )


def _argument(argument: ScriptArgument) -> ScriptArg:
    choices = argument.choices
    return ScriptArg(
        label=argument.label,
        value=argument.value,
        minimum=argument.minimum,
        maximum=argument.maximum,
        step=argument.step,
        choices=None if choices is None else list(choices),
    )
