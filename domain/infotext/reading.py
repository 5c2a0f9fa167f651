"""Parses infotext into prompts and parameters (spec prompts.md 8.5)."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from hexfusion.domain.infotext.compatibility import fill_defaults, note_old_behaviour
from hexfusion.domain.infotext.quoting import unquote
from hexfusion.domain.infotext.version import version_key
from hexfusion.domain.infotext.writing import NEGATIVE
from hexfusion.domain.options import Options
from hexfusion.domain.prompts.styles import Style, recognise_styles

ParameterValue = str | int | bool | list[str]
"""Parameters are text as read; added defaults may be numbers or booleans, and styles a list."""

_LEAST_PAIRS = 3
_KEY = re.compile(r"[\w \-/]+")
_WORD = re.compile(r"\w")
_QUOTED = re.compile(r'\s*("(?:\\.|[^\\"])+")(?:,|$)')
_UNQUOTED = re.compile(r"\s*([^,]*),?")
_SIZE = re.compile(r"(\d+)x(\d+)")

# From this version on, styles are applied to hires prompts too.
_STYLED_HIRES = version_key("1.8.0-139")


class RawInfotext(msgspec.Struct, frozen=True):
    """Infotext split into its parts: `parameters` in order, unquoted, otherwise as written."""

    prompt: str
    negative_prompt: str
    parameters: dict[str, str]


def split_infotext(text: str) -> RawInfotext:
    """Split infotext into prompt lines, negative prompt lines and the line of parameters.

    The last line holds parameters if at least three pairs are found in it; otherwise it belongs to
    the prompt. Sizes (`512x640`) become two entries, `Key-1` and `Key-2`. Empty values are dropped.
    """
    *lines, last = text.strip().split("\n")
    pairs = list(_pairs(last))
    if len(pairs) < _LEAST_PAIRS:
        lines.append(last)
        pairs = []
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            current = negative
            line = line.removeprefix(NEGATIVE).strip()
        if line or current:  # leading empty lines vanish
            current.append(line)
    return RawInfotext("\n".join(prompt), "\n".join(negative), _values(pairs))


def parse_infotext(
    text: str, options: Options, styles: Sequence[Style] = ()
) -> dict[str, ParameterValue]:
    """All parameters in infotext by label, with A1111's defaults for those it omits.

    `Prompt` and `Negative prompt` are always present. `options` controls styles found in the
    prompts (`infotext_styles`), old versions (`auto_backcompat`, `use_old_hires_fix_width_height`)
    and labels to drop (`infotext_skip_pasting`). Any text is accepted.
    """
    raw = split_infotext(text)
    parameters: dict[str, ParameterValue] = dict(raw.parameters)
    version = version_key(raw.parameters.get("Version", ""))
    prompt, negative = raw.prompt, raw.negative_prompt
    if options.text("infotext_styles") != "Ignore":
        styled_hires = version is None or _STYLED_HIRES is None or version > _STYLED_HIRES
        prompt, negative = _take_styles_off(
            parameters, prompt, negative, styles, options.text("infotext_styles"), styled_hires
        )
    parameters["Prompt"] = prompt
    parameters["Negative prompt"] = negative
    fill_defaults(parameters, options.flag("use_old_hires_fix_width_height"))
    if options.flag("auto_backcompat") and version is not None:
        note_old_behaviour(parameters, version)
    for key in options.texts("infotext_skip_pasting"):
        parameters.pop(key, None)
    return parameters


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Keys and values as written, found anywhere in the line."""
    at = 0
    while (run := _KEY.search(line, at)) is not None:
        at = run.end() + 1
        start = _WORD.search(line, run.start(), run.end())
        if start is None or run.end() - start.start() < 2 or line[run.end() : at] != ":":
            continue
        value = _QUOTED.match(line, at) or _UNQUOTED.match(line, at)
        assert value is not None  # anything is an unquoted value
        yield line[start.start() : run.end()], value[1]
        at = value.end()


def _values(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, written in pairs:
        if not written:
            continue
        value = unquote(written)
        size = _SIZE.fullmatch(value)
        if size:
            values[f"{key}-1"], values[f"{key}-2"] = size.groups()
        else:
            values[key] = value
    return values


def _take_styles_off(
    parameters: dict[str, ParameterValue],
    prompt: str,
    negative: str,
    styles: Sequence[Style],
    mode: str,
    styled_hires: bool,
) -> tuple[str, str]:
    """The prompts without recognised styles; `parameters` gets these styles, and hires prompts."""
    main = recognise_styles(prompt, negative, styles)
    labels = ("Hires prompt", "Hires negative prompt")
    if styled_hires and any(label in parameters for label in labels):
        hires = recognise_styles(
            str(parameters.get(labels[0], prompt)), str(parameters.get(labels[1], negative)), styles
        )
        if hires.names != main.names:
            return prompt, negative
        for label, ours, theirs in (
            (labels[0], hires.prompt, main.prompt),
            (labels[1], hires.negative_prompt, main.negative_prompt),
        ):
            parameters[label] = "" if ours == theirs else ours
    if mode == "Apply" or (mode == "Apply if any" and main.names):
        parameters["Styles array"] = list(main.names)
    return main.prompt, main.negative_prompt
