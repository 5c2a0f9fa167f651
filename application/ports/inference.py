"""The inference port: a plan goes in, pictures come out."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from PIL.Image import Image

from domain.checkpoints import Checkpoint
from domain.plan import Plan


class Verdict(Enum):
    """What an observer answers after a step."""

    CONTINUE = "continue"
    SKIP = "skip"
    INTERRUPT = "interrupt"


class Observer(Protocol):
    """Hears of every step and may end the batch."""

    def __call__(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        """Step `step` (from 1) of `of` is done.

        `preview()` makes a picture of the prediction so far; it may be called later, from
        another thread, or never.
        """
        ...


class Inference(Protocol):
    """Turns plans into pictures. Safe to call from many threads at once."""

    def render(self, plan: Plan, observer: Observer) -> Sequence[Image]:
        """One picture per seed of the plan, RGB, `plan.width` x `plan.height`. Blocks.

        After SKIP or INTERRUPT the last prediction is decoded and returned instead.
        Raises `CheckpointError` when the model does not load, `NotANumber` when it yields NaN.
        """
        ...


class ModelHost(Protocol):
    """Keeps checkpoints in memory."""

    def load(self, checkpoint: Checkpoint) -> None:
        """Make it the loaded one. On `CheckpointError` the previous one stays."""
        ...

    def loaded(self) -> Checkpoint | None:
        """The checkpoint in memory, if any."""
        ...

    def unload(self) -> None:
        """Free its memory; the next render loads again."""
        ...

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """The device's memory in bytes, grouped as `/memory` shows CUDA's (spec api.md 14);
        None where there is no device of its own (CPU)."""
        ...
