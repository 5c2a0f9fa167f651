"""Routes that list samplers, schedulers, checkpoints and styles. Source: spec api.md 14."""

from collections.abc import Callable, Sequence
from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS


class SamplerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A sampler."""

    name: str
    aliases: list[str]
    options: Annotated[dict[str, str], Meta(description="Its traits; every value is text.")]


class SchedulerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A noise schedule."""

    name: str
    label: str
    aliases: list[str] | None
    default_rho: Annotated[float, Meta(description="-1 where the schedule has none.")]
    need_inner_model: bool


class SDModelItem(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint."""

    title: str
    model_name: str
    hash: Annotated[str | None, Meta(description="First ten digits of the sha256, once known.")]
    sha256: str | None
    filename: str
    config: Annotated[str | None, Meta(description="The .yaml beside it, if there is one.")]


class PromptStyleItem(msgspec.Struct, frozen=True, kw_only=True):
    """A style. A divider between the styles of two files has null for both texts."""

    name: str
    prompt: Annotated[str | None, Meta(description="May hold {prompt}, for the prompt.")]
    negative_prompt: str | None


class Samplers:
    """`GET /sdapi/v1/samplers`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                SamplerItem(name=each.name, aliases=list(each.aliases), options=each.options)
                for each in SAMPLERS
            ],
        )


class Schedulers:
    """`GET /sdapi/v1/schedulers`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                SchedulerItem(
                    name=each.name,
                    label=each.label,
                    aliases=list(each.aliases) or None,
                    default_rho=each.default_rho,
                    need_inner_model=each.need_inner_model,
                )
                for each in SCHEDULERS
            ],
        )


class Checkpoints:
    """`GET /sdapi/v1/sd-models`"""

    def __init__(self, checkpoints: Callable[[], Sequence[Checkpoint]]) -> None:
        self._checkpoints = checkpoints

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                SDModelItem(
                    title=each.title,
                    model_name=each.model_name,
                    hash=each.shorthash,
                    sha256=each.sha256,
                    filename=each.filename,
                    config=each.config,
                )
                for each in self._checkpoints()
            ],
        )


class PromptStyles:
    """`GET /sdapi/v1/prompt-styles`"""

    def __init__(self, styles: Callable[[], Sequence[Style]]) -> None:
        self._styles = styles

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                PromptStyleItem(
                    name=each.name, prompt=each.prompt, negative_prompt=each.negative_prompt
                )
                for each in self._styles()
            ],
        )


class Empty:
    """`GET /sdapi/v1/extensions`: always an empty list."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, [])
