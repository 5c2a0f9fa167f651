"""The inference port: a plan goes in, pictures come out."""

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
    """What an observer answers after a step."""

    CONTINUE = "continue"
    SKIP = "skip"
    INTERRUPT = "interrupt"


Observer = Callable[[int, int, Callable[[], Image]], Verdict]
"""Hears of every step, and may end the batch: `observer(step, of, preview)` is called when step
`step` (from 1) of `of` is done; hires fix counts through both passes.

`preview()` makes a picture of the prediction so far; it may be called later, from another thread,
or never.
"""


@dataclass(frozen=True)
class Sources:
    """The pictures that a plan with `init` starts from.

    `pictures` (RGB) are one for each picture of the batch; a picture that stands there twice may
    be the same object. If sides are not the plan's their latents are stretched to it. `mask` ("L",
    white is painted anew) holds for all; its size is the plan's, up to what is over multiples of 8.
    A UNet that sees a mask sees `seen` instead, if there is one, of the same size.
    """

    pictures: Sequence[Image]
    mask: Image | None = None
    seen: Image | None = None


@dataclass(frozen=True)
class Rendered:
    """What a plan became.

    `facts` is what the backend alone can know of it, by infotext label and in infotext's order:
    whether prompts had to be padded, or guidance was left out. `embeddings` are those that prompts
    named, in infotext's order; `comments` say what networks could not be used, and why. `changed`
    is where each picture changed ("L", white where it did, of any size) after soft inpainting.
    `first_pass` are the pictures before the second pass, if the plan wants them kept; none where
    the first pass was cut short.
    """

    pictures: Sequence[Image]
    facts: Mapping[str, Extra] = field(default_factory=dict)
    embeddings: Sequence[UsedEmbedding] = ()
    comments: Sequence[str] = ()
    changed: Sequence[Image] = ()
    first_pass: Sequence[Image] = ()


class Inference(Protocol):
    """Turns plans into pictures. Safe to call from many threads at once."""

    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        """One picture per seed of the plan, RGB, of `plan.size`. Blocks.

        `sources` come with a plan that has `init`, and only with one.

        After SKIP or INTERRUPT the last prediction is decoded and returned instead; of hires fix,
        an interrupt in the first pass leaves the first pass's pictures, a skip enlarges them.
        Raises `CheckpointError` when the model does not load, `NotANumber` when it yields NaN,
        `OutOfMemory` when there is not enough. Where something can be freed it is, and the batch
        begun once more: its steps are then heard of from the first again.
        """
        ...


@dataclass(frozen=True)
class Resident:
    """A checkpoint in memory; `size` is in bytes, of its networks' tensors.

    `ready`: it lies where it computes, and renders without being moved there first. `jobs` is how
    many use it now.
    """

    checkpoint: Checkpoint
    size: int
    ready: bool = True
    jobs: int = 0


class ModelHost(Protocol):
    """Keeps checkpoints in memory."""

    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        """Make it the loaded one, with that VAE or its own.

        Raises `CheckpointError`, `OutOfMemory`; the previous one then stays.
        """
        ...

    def loaded(self) -> Checkpoint | None:
        """The checkpoint in memory, if any."""
        ...

    def resident(self) -> Sequence[Resident]:
        """All that are in memory, the one used last first."""
        ...

    def unload(self) -> None:
        """Free its memory; the next render loads again."""
        ...

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """The device's memory in bytes, grouped as `/memory` shows CUDA's (spec api.md 14);
        None where there is no device of its own (CPU)."""
        ...
