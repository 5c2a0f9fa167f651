"""Prompts in the form that a plan has: split at AND, each part with its schedule of texts.

Source: spec prompts.md section 0, steps 5 and 6.
"""

import msgspec

from hexfusion.domain.prompts.attention import parse_attention
from hexfusion.domain.prompts.composition import split_and
from hexfusion.domain.prompts.schedule import ScheduledText, prompt_schedule


class PromptPart(msgspec.Struct, frozen=True):
    """One AND part of a prompt: its text for each range of steps, and its weight (1.0: neutral)."""

    schedule: tuple[ScheduledText, ...]
    weight: float = 1.0


def positive_parts(
    prompt: str,
    steps: int,
    hires_steps: int | None = None,
    *,
    old_scheduling: bool = False,
    emphasis: str = "Original",
    field: str = "prompt",
) -> tuple[PromptPart, ...]:
    """The AND parts of a prompt whose extra-network tags have been taken out.

    `steps` and `hires_steps` as for `prompt_schedule`; `emphasis` is the option of that name.
    Raises InvalidRequest, naming `field`, for a malformed weight anywhere in the prompt.
    """
    return tuple(
        _part(sub.text, sub.weight, steps, hires_steps, old_scheduling, emphasis, field)
        for sub in split_and(prompt, field)
    )


def negative_parts(
    prompt: str,
    steps: int,
    hires_steps: int | None = None,
    *,
    old_scheduling: bool = False,
    emphasis: str = "Original",
    field: str = "negative_prompt",
) -> tuple[PromptPart, ...]:
    """Like `positive_parts`, but always one part: AND means nothing in a negative prompt."""
    return (_part(prompt, 1.0, steps, hires_steps, old_scheduling, emphasis, field),)


def _part(
    text: str,
    weight: float,
    steps: int,
    hires_steps: int | None,
    old_scheduling: bool,
    emphasis: str,
    field: str,
) -> PromptPart:
    schedule = prompt_schedule(text, steps, hires_steps, old_scheduling)
    if emphasis != "None":
        for step_text in {step.text for step in schedule}:
            parse_attention(step_text, field)  # fail now, while the request can be refused
    return PromptPart(schedule, weight)
