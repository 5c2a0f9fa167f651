"""The guided denoiser: one network call answers a sampler's question (spec sampling.md 5.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    Selection,
    TextRows,
    combine,
    combine_edit,
    pad,
    select,
    text_rows,
    why_skip_negative,
)
from hexfusion.adapters.gpu.torch_backend.sampling.preconditioning import Preconditioning
from hexfusion.domain.plan import PreviewContent
from hexfusion.domain.sampling.options import SamplingOptions

Network = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""x (rows, C, H, W) float32, time (rows,) float32, context (rows, tokens, width), vector
(rows, width) or None -> x's shape.

Casting to a lower precision and back is the network's own business.
"""

DEFAULT_OPTIONS = SamplingOptions()

CFGPP_SCALE = 1 / 12.5
"""CFG++ takes scales around 0 to 1; A1111 lets one type the usual numbers."""


class Mask(Protocol):
    """Keeps a part of the clean latent that a run started from. Tensors are (B, C, H, W)."""

    def blend(self, x: Tensor, level: Tensor) -> Tensor:
        """A question or an answer of the call at that level, with the kept part put in."""

    def finish(self, x: Tensor) -> Tensor:
        """What the run ended with, the same way."""


@dataclass(frozen=True, eq=False)
class LatentMask:
    """The part that is kept stays as it is.

    `repaint` is 1 where the run may paint, 0 where `init`, the clean latent, stays; it broadcasts
    to (B, C, H, W).
    """

    init: Tensor
    repaint: Tensor

    def blend(self, x: Tensor, level: Tensor) -> Tensor:
        """See `Mask.blend`."""
        return self.finish(x)

    def finish(self, x: Tensor) -> Tensor:
        """See `Mask.finish`."""
        return x * self.repaint + self.init * (1 - self.repaint)


@dataclass(frozen=True, eq=False)
class _Batch:
    """The network input of one selection: which image each row shows, and the texts by chunks.

    A chunk is one network call; ordinarily there is one, conditional rows first.
    """

    images: Tensor
    chunks: tuple[TextRows, ...]


class GuidedDenoiser:
    """Called with what a sampler yields, gives what it wants to be sent.

    In sigma space that is the denoised latent, in timestep space the noise, (B, C, H, W) float32;
    with `send_unconditional` guided and unconditional prediction stacked, (2, B, C, H, W).

    `total_calls` is the expected number of calls, for the options that count in shares of it.
    Holds the run's call counter, so one denoiser serves one run; `first_step` is where it starts,
    for one that takes a run over. `clean` is the clean latent that the latest call saw in each
    prompt's first part: what interrupts return. `shown` is the one that `preview_content` chooses
    for previews (spec images.md 14). `happened` has the infotext labels of what the calls so far
    really did: "Skip Early CFG", "NGMS", "Pad conds", "Pad conds v0" (spec prompts.md 5.4 and 8.2).

    `beside` (B, channels, H, W) is what the network sees behind each image's latent. With an
    `image_cfg_scale` that is not 1 it is asked a third time, without what is beside, and guided by
    that, too (InstructPix2Pix, arXiv:2211.09800); then each prompt has one part.
    """

    clean: Tensor
    shown: Tensor
    happened: set[str]

    def __init__(
        self,
        network: Network,
        space: Preconditioning,
        conditioning: Conditioning,
        *,
        cfg_scale: float,
        total_calls: int,
        s_min_uncond: float = 0.0,
        options: SamplingOptions = DEFAULT_OPTIONS,
        mask: Mask | None = None,
        send_unconditional: bool = False,
        first_step: int = 0,
        beside: Tensor | None = None,
        image_cfg_scale: float | None = None,
        preview_content: PreviewContent = "Prompt",
    ) -> None:
        self._network = network
        self._space = space
        self._conditioning = conditioning
        self._cfg_scale = cfg_scale * CFGPP_SCALE if send_unconditional else cfg_scale
        self._total_calls = total_calls
        self._s_min_uncond = s_min_uncond
        self._options = options
        self._mask = mask
        self._send_unconditional = send_unconditional
        self._beside = beside
        self._image_cfg_scale = image_cfg_scale
        self._preview_content = preview_content

        self.happened = set()
        self._step = first_step
        self._selection: Selection | None = None
        self._batches: dict[bool, _Batch] = {}
        self._weights = [[part.weight for part in parts] for parts in conditioning.positive]
        self._parts = sum(map(len, self._weights))
        self._firsts = _first_rows(self._weights)

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        masked, space = self._mask, self._space
        if masked and space.masks_input:
            x = masked.blend(x, level)
        why = None
        if not self._edits:
            why = why_skip_negative(
                self._step, self._total_calls, float(level), self._s_min_uncond, self._options
            )
        skip = why is not None
        if why:
            self.happened.add(why)
        batch = self._batch(skip)
        rows = x[batch.images]
        predicted = space.prediction(rows, self._ask(rows, level, batch), level)
        cond = predicted[: self._parts]
        first = cond[self._firsts]
        self.clean = space.clean(x, first, level)
        uncond = first if skip else predicted[self._parts :]
        if self._edits:
            guided = self._edited(cond, *uncond.chunk(2))
            uncond = uncond[len(self._weights) :]
        else:
            guided = combine(cond, uncond, self._weights, 1.0 if skip else self._cfg_scale)
        if masked and not space.masks_input:
            guided = masked.blend(guided, level)
        match self._preview_content:
            case "Prompt":
                self.shown = self.clean
            case "Negative prompt":
                self.shown = space.clean(x, uncond, level)
            case "Combined":
                self.shown = space.clean(x, guided, level)
        self._step += 1
        return torch.stack([guided, uncond]) if self._send_unconditional else guided

    @property
    def _edits(self) -> bool:
        return self._image_cfg_scale is not None and self._image_cfg_scale != 1

    def _edited(self, cond: Tensor, unasked: Tensor, unseen: Tensor) -> Tensor:
        assert self._image_cfg_scale is not None
        return combine_edit(cond, unasked, unseen, self._cfg_scale, self._image_cfg_scale)

    def _ask(self, rows: Tensor, level: Tensor, batch: _Batch) -> Tensor:
        scaled = self._space.network_input(rows, level)
        if self._beside is not None:
            scaled = torch.cat([scaled, self._rows_beside(batch)], dim=1)
        time = self._space.time(level).to(rows.device)
        sizes = [len(text) for text in batch.chunks]
        outputs = [
            self._network(part, time.expand(len(part)), text.context, text.vector)
            for part, text in zip(scaled.split(sizes), batch.chunks, strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _rows_beside(self, batch: "_Batch") -> Tensor:
        assert self._beside is not None
        rows = self._beside[batch.images]
        if self._edits:
            rows = torch.cat([rows[: -len(self._weights)], torch.zeros_like(self._beside)])
        return rows

    def _batch(self, skip: bool) -> _Batch:
        """This call's rows; made anew only when a prompt's text changes."""
        selection = select(self._conditioning, self._step)
        if selection != self._selection:
            self._selection = selection
            self._batches.clear()
        if skip not in self._batches:
            self._batches[skip] = self._make_batch(selection, skip)
        return self._batches[skip]

    def _make_batch(self, selection: Selection, skip: bool) -> _Batch:
        cond, uncond = text_rows(self._conditioning, selection)
        cond, uncond, padded = pad(cond, uncond, self._conditioning.empty, self._options)
        if padded:
            self.happened.add(padded)
        images, together = len(self._weights), self._options.batch_cond_uncond
        again = 2 if self._edits else 1
        if self._edits:
            uncond = uncond.followed_by(uncond)
        owners = [image for image, parts in enumerate(self._weights) for _ in parts]
        if skip:
            chunks = cond.split(len(cond) if together else images)
        elif cond.tokens == uncond.tokens:
            joined = cond.followed_by(uncond)
            chunks = joined.split(len(joined) if together else images)
        else:
            chunks = (*cond.split(2 * images if together else images), uncond)
        rows = owners if skip else [*owners, *list(range(images)) * again]
        return _Batch(torch.tensor(rows, device=cond.context.device), tuple(chunks))


def _first_rows(weights: Sequence[Sequence[float]]) -> slice | list[int]:
    """The conditional row of each image's first part."""
    counts = [len(parts) for parts in weights]
    if all(count == 1 for count in counts):
        return slice(None)
    return [sum(counts[:image]) for image in range(len(counts))]
