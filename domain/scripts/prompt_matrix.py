"""Prompt matrix: its arguments, and the combinations of a prompt. Source: spec scripts.md 6."""

from typing import Annotated, Literal

from hexfusion.domain.scripts.arguments import Arguments, Choice, Switch, Whole

TITLE = "Prompt matrix"
MAX_MARGIN = 4096


class PromptMatrix(Arguments, frozen=True):
    """Which prompt is combined, how its parts are joined, and the grid's margin."""

    at_start: Annotated[bool, Switch("Put variable parts at start of prompt")] = False
    other_seeds: Annotated[bool, Switch("Use different seed for each picture")] = False
    prompt: Annotated[
        Literal["positive", "negative"], Choice("Select prompt", ("positive", "negative"))
    ] = "positive"
    joined_by: Annotated[
        Literal["comma", "space"], Choice("Select joining char", ("comma", "space"))
    ] = "comma"
    margin: Annotated[int, Whole("Grid margins (px)", 0, 500, 2, MAX_MARGIN)] = 0


def parts_of(prompt: str) -> tuple[str, ...]:
    """The parts of a prompt: the first is in every combination, the others are optional."""
    return tuple(prompt.split("|"))


def combinations(parts: tuple[str, ...], *, at_start: bool, joined_by: str) -> tuple[str, ...]:
    """All combinations: number c has optional part n (from 1) if bit n - 1 of c is set.

    Optional parts come after the first part, or before it with `at_start`.
    """
    first, others = parts[0], [part.strip().strip(",") for part in parts[1:]]
    prompts = []
    for number in range(1 << len(others)):
        taken = [part for bit, part in enumerate(others) if number >> bit & 1]
        texts = [*taken, first] if at_start else [first, *taken]
        prompts.append((", " if joined_by == "comma" else " ").join(texts))
    return tuple(prompts)
