"""The tweaks of the calling thread's job, in a context variable: each thread has its own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from random import Random

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.token_merging import Matching
from hexfusion.domain.plan import Hypertile, NetworkTweaks


class Computation:
    """The tweaks of one pass, and their state from one layer to the next.

    `width` and `height` are the picture's, in pixels. `grid` is the (height, width) of the tokens
    of the full-resolution transformer being computed, `matching` the tokens that its next
    self-attention merges.
    """

    def __init__(self, tweaks: NetworkTweaks, width: int, height: int) -> None:
        self.tweaks = tweaks
        self.width = width
        self.height = height
        self.grid = (0, 0)
        self.matching: Matching | None = None
        self._draws: dict[int, Random] = {}

    def draws(self, hypertile: Hypertile) -> Random:
        """The random source of its tile sizes, one for UNet and VAE together."""
        return self._draws.setdefault(hypertile.seed, Random(hypertile.seed))


_current: ContextVar[Computation | None] = ContextVar("computation", default=None)
#: The tweaks of the calling thread, None where networks compute as they are.
current = _current.get


def computation_of(tweaks: NetworkTweaks, width: int, height: int) -> Computation | None:
    """The computation of a pass over pictures of `width` x `height` pixels; None for no tweaks."""
    return None if tweaks == NetworkTweaks() else Computation(tweaks, width, height)


@contextmanager
def in_force(computation: Computation | None) -> Iterator[None]:
    """In this context the calling thread's network calls use the tweaks of `computation`.

    A pass and its decoding share one computation, as hypertile's random draws continue from call
    to call. Of nested contexts only the inner one applies. Networks must have been prepared.
    """
    token = _current.set(computation)
    try:
        yield
    finally:
        _current.reset(token)


def computing(tweaks: NetworkTweaks, width: int, height: int) -> AbstractContextManager[None]:
    """`in_force` with a new computation, whose random draws start from the beginning."""
    return in_force(computation_of(tweaks, width, height))
