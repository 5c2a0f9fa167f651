"""`GuidedDenoiser`: a network with classifier-free guidance (spec sampling.md 5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.call import Call, Network, Row
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
from hexfusion.domain.plan import PreviewContent, SamplingPlan

CFGPP_SCALE = 1 / 12.5
"""Factor of the cfg scale for CFG++, whose own scales are 0 to 1; A1111 takes the usual ones."""


class Mask(Protocol):
    """Keeps a part of the clean latent that a run starts from. Tensors are (B, C, H, W)."""

    def blend(self, x: Tensor, level: Tensor) -> Tensor:
        """The denoiser's input or output at that noise level, with the kept part restored."""

    def finish(self, x: Tensor) -> Tensor:
        """The run's final latent, with the kept part restored."""


@dataclass(frozen=True, eq=False)
class LatentMask:
    """A `Mask` that keeps a part exactly.

    `repaint` is 1 where the run may paint, 0 where `init`, the clean latent, is kept; it broadcasts
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
class Prediction:
    """The predictions of one model call, for previews.

    `first` is the prediction for each prompt's first part, `unwanted` for the negative prompt, and
    `guided` the one sent to the sampler; each (B, C, H, W), in the `space` of the sampler.
    """

    space: Preconditioning
    x: Tensor
    level: Tensor
    first: Tensor
    unwanted: Tensor
    guided: Tensor

    def clean(self, content: PreviewContent = "Prompt") -> Tensor:
        """The clean latent (B, C, H, W) of one of the three (spec images.md 14)."""
        predicted = {
            "Prompt": self.first,
            "Negative prompt": self.unwanted,
            "Combined": self.guided,
        }
        return self.space.clean(self.x, predicted[content], self.level)


@dataclass(frozen=True, eq=False)
class _Batch:
    """The network's rows for one selection of texts, and the texts in chunks.

    A chunk is one network call; usually there is one, with the conditional rows first.
    """

    rows: tuple[Row, ...]
    images: Tensor
    chunks: tuple[TextRows, ...]


class GuidedDenoiser:
    """Calls the network for a sampler, and combines its predictions by guidance.

    Called with a latent and a noise level. Returns the denoised latent in sigma space, the noise in
    timestep space, (B, C, H, W) float32. For a sampler that also takes the unconditional
    prediction, both are stacked, guided first: (2, B, C, H, W).

    `sampling` is the pass's; `total_calls` the expected number of calls, for the options that
    count in shares of it. Holds the run's call counter, so one denoiser serves one run;
    `first_step` is where it starts, for one that takes a run over. `latest` is what the latest call
    predicted. `happened` has the infotext labels of what the calls so far really did: "Skip Early
    CFG", "NGMS", "Pad conds", "Pad conds v0" (spec prompts.md 5.4 and 8.2).

    With an `image_cfg_scale` that is not 1 the network is asked a third time, blind to what it is
    given as image channels, and guided by that, too (InstructPix2Pix, arXiv:2211.09800); then each
    prompt has one part.
    """

    latest: Prediction
    happened: set[str]

    def __init__(
        self,
        network: Network,
        space: Preconditioning,
        conditioning: Conditioning,
        sampling: SamplingPlan,
        *,
        total_calls: int,
        mask: Mask | None = None,
        first_step: int = 0,
        image_cfg_scale: float | None = None,
    ) -> None:
        self._network = network
        self._space = space
        self._conditioning = conditioning
        self._sampling = sampling
        self._total_calls = total_calls
        self._mask = mask
        self._image_cfg_scale = image_cfg_scale

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
                self._step, self._total_calls, float(level), self._sampling.options
            )
        skip = why is not None
        if why:
            self.happened.add(why)
        batch = self._batch(skip)
        rows = x[batch.images]
        predicted = space.prediction(rows, self._ask(rows, level, batch), level)
        cond = predicted[: self._parts]
        first = cond[self._firsts]
        uncond = first if skip else predicted[self._parts :]
        if self._edits:
            guided = self._edited(cond, *uncond.chunk(2))
            uncond = uncond[len(self._weights) :]
        else:
            guided = combine(cond, uncond, self._weights, 1.0 if skip else self._cfg_scale)
        if masked and not space.masks_input:
            guided = masked.blend(guided, level)
        self.latest = Prediction(space, x, level, first, uncond, guided)
        self._step += 1
        both = self._sampling.sampler.wants_unconditional
        return torch.stack([guided, uncond]) if both else guided

    @property
    def _cfg_scale(self) -> float:
        scale = self._sampling.cfg_scale
        return scale * CFGPP_SCALE if self._sampling.sampler.wants_unconditional else scale

    @property
    def _edits(self) -> bool:
        return self._image_cfg_scale is not None and self._image_cfg_scale != 1

    def _edited(self, cond: Tensor, unasked: Tensor, unseen: Tensor) -> Tensor:
        assert self._image_cfg_scale is not None
        return combine_edit(cond, unasked, unseen, self._cfg_scale, self._image_cfg_scale)

    def _ask(self, x: Tensor, level: Tensor, batch: _Batch) -> Tensor:
        scaled = self._space.network_input(x, level)
        time = self._space.time(level).to(x.device)
        outputs: list[Tensor] = []
        done = 0
        for text in batch.chunks:
            part = slice(done, done := done + len(text))
            call = Call(
                x=scaled[part],
                time=time.expand(len(text)),
                context=text.context,
                vector=text.vector,
                rows=batch.rows[part],
                step=self._step,
                of=self._total_calls,
                sampling=self._sampling,
            )
            outputs.append(self._network(call))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

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
        options = self._sampling.options
        cond, uncond = text_rows(self._conditioning, selection)
        cond, uncond, padded = pad(cond, uncond, self._conditioning.empty, options)
        if padded:
            self.happened.add(padded)
        images, together = len(self._weights), options.batch_cond_uncond
        rows = [
            Row(image, True, part)
            for image, parts in enumerate(self._weights)
            for part in range(len(parts))
        ]
        if not skip:
            rows += [Row(image, False) for image in range(images)]
        if self._edits:
            uncond = uncond.followed_by(uncond)
            rows += [Row(image, False, blind=True) for image in range(images)]
        if skip:
            chunks = cond.split(len(cond) if together else images)
        elif cond.tokens == uncond.tokens:
            joined = cond.followed_by(uncond)
            chunks = joined.split(len(joined) if together else images)
        else:
            chunks = (*cond.split(2 * images if together else images), uncond)
        owners = torch.tensor([row.image for row in rows], device=cond.context.device)
        return _Batch(tuple(rows), owners, tuple(chunks))


def _first_rows(weights: Sequence[Sequence[float]]) -> slice | list[int]:
    """The index of the conditional row of each image's first part."""
    counts = [len(parts) for parts in weights]
    if all(count == 1 for count in counts):
        return slice(None)
    return [sum(counts[:image]) for image in range(len(counts))]
