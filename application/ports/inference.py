"""Port: inference (a plan to pictures), and the checkpoints in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from PIL.Image import Image

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.extra_networks import UsedEmbedding
from hexfusion.domain.infotext import Extra
from hexfusion.domain.plan import Plan
from hexfusion.domain.vaes import VaeFile


class Verdict(Enum):
    """An observer's answer after a step: continue, skip the batch, or interrupt the job."""

    CONTINUE = "continue"
    SKIP = "skip"
    INTERRUPT = "interrupt"


Observer = Callable[[int, int, Callable[[], Image]], Verdict]
"""`observer(step, of, preview)` is called after each step `step` (from 1) of `of`, and may end the
batch. With hires fix the steps of both passes are counted.

`preview()` decodes the present prediction to a picture; it may be called later, from another
thread, or never.
"""


@dataclass(frozen=True)
class Sources:
    """The init pictures of a plan with `init`.

    `pictures` (RGB) has one entry per picture of the batch; entries may be the same object. If
    their size is not the plan's, their latents are resized. `mask` ("L", white is repainted)
    applies to all of them; its size is the plan's before rounding down to multiples of 8. `seen`,
    of the same size, replaces it as input of a UNet that takes a mask.
    """

    pictures: Sequence[Image]
    mask: Image | None = None
    seen: Image | None = None


@dataclass(frozen=True)
class Rendered:
    """The result of a plan.

    `pictures` are RGB. `facts` are infotext entries that only the backend knows, by label and in
    infotext's order, such as padded prompts or skipped guidance. `embeddings` are those that the
    prompts used, in infotext's order; `comments` tell which networks could not be used, and why.
    `changed` has a mask per picture ("L", white where it changed, of any size) after soft
    inpainting. `first_pass` are the pictures before the second pass, if `keep_first_pass` is set
    and the first pass was completed.
    """

    pictures: Sequence[Image]
    facts: Mapping[str, Extra] = field(default_factory=dict)
    embeddings: Sequence[UsedEmbedding] = ()
    comments: Sequence[str] = ()
    changed: Sequence[Image] = ()
    first_pass: Sequence[Image] = ()


class Inference(Protocol):
    """Renders plans. Thread-safe."""

    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        """Render one RGB picture of `plan.size` per seed of the plan. Blocks until done.

        `sources` must be given if the plan has `init`, and only then.

        After SKIP or INTERRUPT the last prediction is decoded and returned. With hires fix, an
        interrupt in the first pass returns the first pass's pictures, a skip enlarges them.
        Raises `CheckpointError` if the model does not load, `NotANumber` if it yields NaN,
        `OutOfMemory`. Before that, unused models are freed and the batch is restarted once: the
        observer then gets its steps from the first again.
        """
        ...


@dataclass(frozen=True)
class Resident:
    """A checkpoint in memory; `size` is that of its networks' tensors, in bytes.

    `ready`: it is on the device that computes, and need not be moved there first. `jobs` is the
    number of jobs that use it now.
    """

    checkpoint: Checkpoint
    size: int
    ready: bool = True
    jobs: int = 0


class ModelHost(Protocol):
    """Manages the checkpoints in memory. Thread-safe."""

    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        """Load a checkpoint, with the given VAE or its own, and make it the current one.

        Raises `CheckpointError`, `OutOfMemory`; then the previous checkpoint stays loaded.
        """
        ...

    def loaded(self) -> Checkpoint | None:
        """The current checkpoint, None if none is loaded."""
        ...

    def resident(self) -> Sequence[Resident]:
        """All checkpoints in memory, most recently used first."""
        ...

    def unload(self) -> None:
        """Free the memory of loaded checkpoints; the next render loads again."""
        ...

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """Memory statistics of the device in bytes, grouped as in `/memory` (spec api.md 14); None
        for the CPU."""
        ...
