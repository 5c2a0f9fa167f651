"""Prompts from file or textbox: its arguments, and parsing lines. Source: spec scripts.md 7."""

import shlex
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from hexfusion.domain.scripts.arguments import Arguments, Choice, Switch, Text

TITLE = "Prompts from file or textbox"


class PromptsFromFile(Arguments, frozen=True):
    """The lines, and how they combine with the request's own prompts and seed."""

    iterate: Annotated[bool, Switch("Iterate seed every line")] = False
    same_seed: Annotated[bool, Switch("Use same random seed for all lines")] = False
    place: Annotated[Literal["start", "end"], Choice("Insert prompts at the", ("start", "end"))] = (
        "start"
    )
    lines: Annotated[str, Text("List of prompt inputs")] = ""


Value = str | int | float | bool


def _flag(text: str) -> bool:
    return text == "true"


OPTIONS: Mapping[str, Callable[[str], Value]] = {
    **dict.fromkeys(
        (
            "sd_model", "outpath_samples", "outpath_grids", "prompt_for_display", "styles",
            "sampler_name",
        ),
        str,
    ),
    **dict.fromkeys(
        (
            "seed", "subseed", "seed_resize_from_h", "seed_resize_from_w", "sampler_index",
            "batch_size", "n_iter", "steps", "width", "height",
        ),
        int,
    ),
    **dict.fromkeys(("subseed_strength", "cfg_scale"), float),
    **dict.fromkeys(
        ("restore_faces", "tiling", "do_not_save_samples", "do_not_save_grid"), _flag
    ),
}  # fmt: skip
"""Options of a line besides its prompts, with the function that parses each value."""

_MANY_WORDS = ("prompt", "negative_prompt")


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text that are not blank, stripped."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def read_line(line: str) -> Mapping[str, Value]:
    """The options of a line by name; a line that cannot be parsed is a prompt as a whole."""
    if "--" not in line:
        return {"prompt": line}
    try:
        return _options(shlex.split(line))
    except ValueError:
        return {"prompt": line}


def _options(words: list[str]) -> Mapping[str, Value]:
    """Parse options and values. Raises `ValueError` for anything else."""
    said: dict[str, Value] = {}
    rest = iter(words)
    word = next(rest, None)
    while word is not None:
        name, value = word.removeprefix("--"), next(rest, None)
        if name == word or value is None:
            raise ValueError(word)
        word = next(rest, None)
        if name in _MANY_WORDS:
            while word is not None and not word.startswith("--"):
                value, word = f"{value} {word}", next(rest, None)
            said[name] = value
        elif name in OPTIONS:
            said[name] = OPTIONS[name](value)
        else:
            raise ValueError(name)
    return said
