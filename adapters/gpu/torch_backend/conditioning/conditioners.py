"""What the text encoders of each family of checkpoints make of a plan's texts.

One interface for all of them; which encoders there are, and how their outputs are put together,
stays behind it. Source: spec prompts.md 5.6, sampling.md 8.
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
"""The clip skip that every encoder but SD1's was trained with, and keeps."""


class TextConditioner(Protocol):
    """A checkpoint's texts-to-conditioning; safe to use from many threads."""

    @property
    def encoders(self) -> tuple[TextEncoder, ...]:
        """The text models in it."""

    def __call__(
        self, texts: Sequence[str], plan: TextPlan, size: Size, *, negative: bool
    ) -> TextRows:
        """One row for each text, encoded and normalised together, on the models' device.

        `plan` gives the settings, `size` is the pass's. `negative` says that these are the texts
        of a negative prompt. Raises `InvalidRequest` for malformed weights and for a setting that
        the checkpoint's encoders cannot take.
        """


class ClipConditioner:
    """SD1: CLIP-L, down to the layer that the clip skip names."""

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
    """SD2: OpenCLIP-H, always its penultimate layer: the last there is where the file is `cut`."""

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
    """SDXL: CLIP-L and OpenCLIP-bigG side by side; the vector tells of sizes."""

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
    """The SDXL refiner: OpenCLIP-bigG alone; the vector tells of sizes and of looks."""

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
    """(texts, width) and after it 256 elements for each number: (texts, width + 256 * numbers)."""
    embedded = embed_numbers(numbers).to(pooled.device)
    return torch.cat([pooled, embedded.flatten().expand(len(pooled), -1)], dim=1)


def _silence(texts: int, encoders: Sequence[TextEncoder], numbers: Sequence[float]) -> TextRows:
    """SDXL's empty negative prompt: zeros where the texts' encodings would be, and one chunk."""
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
