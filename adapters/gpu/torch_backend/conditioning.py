"""A plan's texts, encoded."""

from adapters.gpu.torch_backend.guidance import (
    Conditioning,
    Schedule,
    ScheduledContext,
    WeightedSchedule,
)
from adapters.gpu.torch_backend.text_encoder import TextEncoder
from domain.plan import TextPlan
from domain.prompts import Part, Step


def condition(encoder: TextEncoder, text: TextPlan, *, with_empty: bool = False) -> Conditioning:
    """Encode every text of a plan once; the texts of one schedule go through together.

    Emphasis is normalised over what is encoded together (spec prompts.md 5.5), so the grouping is
    part of the result. `with_empty` adds the empty prompt, for option pad_cond_uncond.
    """
    schedules: dict[tuple[Step, ...], Schedule] = {}

    def encode(steps: tuple[Step, ...]) -> Schedule:
        if steps not in schedules:
            contexts = _encode(encoder, [step.text for step in steps], text)
            schedules[steps] = tuple(
                ScheduledContext(step.end_at, context)
                for step, context in zip(steps, contexts, strict=True)
            )
        return schedules[steps]

    def weighted(part: Part) -> WeightedSchedule:
        return WeightedSchedule(encode(part.schedule), part.weight)

    return Conditioning(
        positive=tuple(tuple(map(weighted, parts)) for parts in text.positive),
        negative=tuple(encode(part.schedule) for (part,) in text.negative),
        empty=_encode(encoder, [""], text)[0] if with_empty else None,
    )


def _encode(encoder: TextEncoder, texts: list[str], text: TextPlan):
    return encoder(
        texts,
        clip_skip=text.clip_skip,
        emphasis=text.emphasis,
        comma_backtrack=text.comma_backtrack,
    )
