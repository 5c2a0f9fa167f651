"""Encoding all texts of a plan into the `Conditioning` that a denoiser takes."""

from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import TextConditioner
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    Schedule,
    ScheduledContext,
    WeightedSchedule,
)
from hexfusion.domain.plan import TextPlan
from hexfusion.domain.prompts import PromptPart, ScheduledText


def encode_texts(
    conditioner: TextConditioner,
    text: TextPlan,
    *,
    height: int,
    width: int,
    with_empty: bool = False,
) -> Conditioning:
    """Encode every text of a plan once, the texts of one schedule together.

    Emphasis is normalised over the texts encoded together (spec prompts.md 5.5), so the grouping
    changes the result. `height` and `width` are the pass's, in pixels. `with_empty` adds the empty
    prompt, for option pad_cond_uncond. Raises as the conditioner does.
    """
    schedules: dict[tuple[bool, tuple[ScheduledText, ...]], Schedule] = {}

    def encode(steps: tuple[ScheduledText, ...], negative: bool) -> Schedule:
        key = negative, steps
        if key not in schedules:
            texts = [step.text for step in steps]
            encoded = conditioner(texts, text, (height, width), negative=negative)
            vectors = [None] * len(steps) if encoded.vector is None else encoded.vector
            schedules[key] = tuple(
                ScheduledContext(step.end_at, context, vector)
                for step, context, vector in zip(steps, encoded.context, vectors, strict=True)
            )
        return schedules[key]

    def weighted(part: PromptPart) -> WeightedSchedule:
        return WeightedSchedule(encode(part.schedule, False), part.weight)

    empty = conditioner([""], text, (height, width), negative=False) if with_empty else None
    # Negative prompts first: infotext lists embeddings in the order of encoding.
    negative = tuple(encode(part.schedule, True) for (part,) in text.negative)
    return Conditioning(
        positive=tuple(tuple(map(weighted, parts)) for parts in text.positive),
        negative=negative,
        empty=None if empty is None else empty.context[0],
    )
