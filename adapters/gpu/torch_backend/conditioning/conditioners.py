"""Text conditioning of each family: SD1, SD2, SDXL and the SDXL refiner.

A `TextConditioner` hides which text encoders a family has and how their outputs are combined.
Source: spec prompts.md 5.6, sampling.md 8.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.architectures.size_embedding import embed_numbers
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import TextRows
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.plan import TextPlan

Size = tuple[int, int]
"""(height, width) in pixels."""

PENULTIMATE = 2
"""The clip skip of every encoder but SD1's, whatever the option says."""


class TextConditioner(Protocol):
    """Encodes texts with a checkpoint's text encoders. Safe to use from many threads."""

    @property
    def encoders(self) -> tuple[TextEncoder, ...]:
        """The text encoders that it uses."""

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """Encode texts together; one row for each, on the encoders' device.

        `plan` has the settings, `size` is the pass's (height, width) in pixels. `negative`: these
        are texts of a negative prompt. Raises `InvalidRequest` for malformed weights, and for a
        setting that the encoders do not support.
        """


class ClipConditioner:
    """SD1: the layer of CLIP-L that the clip skip chooses."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoders = (encoder,)

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """See `TextConditioner`."""
        (encoder,) = self.encoders
        prompts = encoder.chunk(texts, plan)
        return TextRows(encoder.encode(prompts, plan, plan.clip_skip).states)


class OpenClipConditioner:
    """SD2: OpenCLIP-H's penultimate layer, which is the last one in a `cut` file."""

    def __init__(self, encoder: TextEncoder, *, cut: bool = False) -> None:
        self.encoders = (encoder,)
        self._layer = 1 if cut else PENULTIMATE

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """See `TextConditioner`."""
        _refuse_old_emphasis(plan)
        (encoder,) = self.encoders
        prompts = encoder.chunk(texts, plan)
        return TextRows(encoder.encode(prompts, plan, self._layer).states)


class XlConditioner:
    """SDXL: CLIP-L's and OpenCLIP-bigG's outputs concatenated; sizes and crop in the vector."""

    def __init__(self, clip: TextEncoder, open_clip: TextEncoder) -> None:
        self.encoders = (clip, open_clip)

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """See `TextConditioner`."""
        _refuse_old_emphasis(plan)
        numbers = (*size, *plan.crop, *size)
        if negative and not any(texts):
            return _silence(len(texts), self.encoders, numbers)
        clip, open_clip = self.encoders
        left, right = clip.chunk(texts, plan), open_clip.chunk(texts, plan)
        chunks = max(len(each.chunks) for each in (*left, *right))  # the tokenizers may disagree
        clip_skip = plan.clip_skip if plan.clip_l_skip else PENULTIMATE
        first = clip.encode(clip.filled(left, chunks), plan, clip_skip)
        second = open_clip.encode(open_clip.filled(right, chunks), plan, PENULTIMATE)
        return TextRows(
            torch.cat([first.states, second.states], dim=-1),
            with_numbers(second.pooled_rows(), numbers),
        )


class RefinerConditioner:
    """The SDXL refiner: OpenCLIP-bigG; size, crop and aesthetic score in the vector."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoders = (encoder,)

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """See `TextConditioner`."""
        _refuse_old_emphasis(plan)
        numbers = (*size, *plan.crop, plan.aesthetic_scores[negative])
        if negative and not any(texts):
            return _silence(len(texts), self.encoders, numbers)
        (encoder,) = self.encoders
        encoded = encoder.encode(encoder.chunk(texts, plan), plan, PENULTIMATE)
        return TextRows(encoded.states, with_numbers(encoded.pooled_rows(), numbers))


def with_numbers(pooled: Tensor, numbers: Sequence[float]) -> Tensor:
    """The vectors `pooled` (texts, width) with an embedding of 256 elements appended per number.

    Returns (texts, width + 256 * numbers).
    """
    embedded = embed_numbers(numbers).to(pooled.device)
    return torch.cat([pooled, embedded.flatten().expand(len(pooled), -1)], dim=1)


def _silence(texts: int, encoders: Sequence[TextEncoder], numbers: Sequence[float]) -> TextRows:
    """SDXL's empty negative prompt: zeros of one chunk instead of encoded texts."""
    last = encoders[-1]
    width = sum(encoder.width for encoder in encoders)
    context = torch.zeros(texts, 77, width, device=last.device)
    pooled = torch.zeros(texts, last.pooled_width, device=last.device)
    return TextRows(context, with_numbers(pooled, numbers))


def _refuse_old_emphasis(plan: TextPlan) -> None:
    if plan.old_emphasis:
        raise InvalidRequest(
            "use_old_emphasis_implementation", "this checkpoint's OpenCLIP encoder does not take it"
        )
