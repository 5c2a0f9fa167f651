"""Extra-network tags in prompts: `<lora:name:0.8>`, `<hypernet:name:1>` (spec prompts.md 6)."""

import re
from collections.abc import Sequence
from math import isfinite

import msgspec

from hexfusion.domain.errors import InvalidRequest

_TAG = re.compile(r"<(\w+):([^>]+)>")


class NetworkTag(msgspec.Struct, frozen=True):
    """`<kind:a:b:key=c>`, with arguments as written. Tags of unknown kinds are parsed as well."""

    kind: str
    positional: tuple[str, ...] = ()
    named: dict[str, str] = {}


class LoraUse(msgspec.Struct, frozen=True):
    """A `<lora:...>` tag: multipliers for text encoder (`te`) and UNet, and a limit of the rank
    (`dyn`)."""

    name: str
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None


class HypernetUse(msgspec.Struct, frozen=True):
    """A `<hypernet:...>` tag: a hypernetwork and its multiplier."""

    name: str
    multiplier: float = 1.0


def extract_networks(prompt: str) -> tuple[str, tuple[NetworkTag, ...]]:
    """Remove the tags from a prompt; returns (text without tags, tags in order)."""
    tags: list[NetworkTag] = []

    def cut(match: re.Match[str]) -> str:
        tags.append(_parse(match[1], match[2]))
        return ""

    closed = prompt.rfind(">") + 1  # behind it no tag can end: searching there costs squared time
    return _TAG.sub(cut, prompt[:closed]) + prompt[closed:], tuple(tags)


def extract_networks_batch(
    prompts: Sequence[str],
) -> tuple[tuple[str, ...], tuple[NetworkTag, ...]]:
    """Remove the tags from all prompts of a batch; returns (texts, tags of the first prompt).

    All pictures of a batch share one set of weights, so the first prompt's tags apply to all.
    """
    texts, tags = zip(*map(extract_networks, prompts), strict=True) if prompts else ((), ((),))
    return tuple(texts), tags[0]


def lora_uses(tags: Sequence[NetworkTag], field: str = "prompt") -> tuple[LoraUse, ...]:
    """The LoRAs in tags: `lora` tags first, then tags of the alias `lyco`.

    `<lora:NAME:TE:UNET:DYN>`; the last three may be given as `te=`, `unet=`, `dyn=`, which take
    precedence. UNET
    defaults to TE, TE to 1. A name used twice is listed twice, each time with the last multipliers.
    Raises InvalidRequest, naming `field`, for a tag without name or with a malformed number (the
    reference then switches all LoRAs of the batch off and goes on).
    """
    uses = [_lora(tag, field) for kind in ("lora", "lyco") for tag in tags if tag.kind == kind]
    last = {use.name: use for use in uses}
    return tuple(last[use.name] for use in uses)


def hypernet_uses(tags: Sequence[NetworkTag], field: str = "prompt") -> tuple[HypernetUse, ...]:
    """The hypernetworks in tags, in order: `<hypernet:NAME:MULTIPLIER>`.

    Raises InvalidRequest, naming `field`, for a tag without name or with a malformed number.
    """
    return tuple(
        HypernetUse(_name(tag, field), _multiplier(tag, 1, "", 1.0, field))
        for tag in tags
        if tag.kind == "hypernet"
    )


def _parse(kind: str, body: str) -> NetworkTag:
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in body.split(":"):
        if argument.count("=") == 1:
            key, value = argument.split("=")
            named[key] = value
        else:
            positional.append(argument)
    return NetworkTag(kind, tuple(positional), named)


def _lora(tag: NetworkTag, field: str) -> LoraUse:
    te = _multiplier(tag, 1, "te", 1.0, field)
    rank = _argument(tag, 3, "dyn")
    try:
        dyn = None if rank is None else int(rank)
    except ValueError:
        raise InvalidRequest(field, f"{_tag_text(tag)}: rank {rank!r} is not an integer") from None
    return LoraUse(_name(tag, field), te, _multiplier(tag, 2, "unet", te, field), dyn)


def _name(tag: NetworkTag, field: str) -> str:
    if not tag.positional:
        raise InvalidRequest(field, f"{_tag_text(tag)} names no network")
    return tag.positional[0]


def _multiplier(tag: NetworkTag, position: int, key: str, default: float, field: str) -> float:
    text = _argument(tag, position, key)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InvalidRequest(field, f"{_tag_text(tag)}: multiplier {text!r} is not a number")
    return number


def _argument(tag: NetworkTag, position: int, key: str) -> str | None:
    if key in tag.named:
        return tag.named[key]
    return tag.positional[position] if position < len(tag.positional) else None


def _tag_text(tag: NetworkTag) -> str:
    named = (f"{key}={value}" for key, value in tag.named.items())
    return f"<{':'.join((tag.kind, *tag.positional, *named))}>"
