"""The tweaks in force: a context variable, so each thread has its own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from random import Random

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.token_merging import Matching
from hexfusion.domain.plan import Hypertile, NetworkTweaks


class Computation:
    """One pass's tweaks, and what they have to remember from one layer to the next.

    `width` and `height` are the picture's, in pixels. `grid` is the (height, width) of the tokens
    of the full-resolution transformer under way; `matching` waits for its self-attention.
    """

    def __init__(self, tweaks: NetworkTweaks, width: int, height: int) -> None:
        self.tweaks = tweaks
        self.width = width
        self.height = height
        self.grid = (0, 0)
        self.matching: Matching | None = None
        self._draws: dict[int, Random] = {}

    def draws(self, hypertile: Hypertile) -> Random:
        """Where its tile sizes come from. UNet and VAE draw in turn from one source."""
        return self._draws.setdefault(hypertile.seed, Random(hypertile.seed))


_current: ContextVar[Computation | None] = ContextVar("computation", default=None)
#: The tweaks of the calling thread, None where networks compute as they are.
current = _current.get


def computation_of(tweaks: NetworkTweaks, width: int, height: int) -> Computation | None:
    """What a pass over pictures of `width` x `height` pixels carries along; None for no tweaks."""
    return None if tweaks == NetworkTweaks() else Computation(tweaks, width, height)


@contextmanager
def in_force(computation: Computation | None) -> Iterator[None]:
    """Inside, the calling thread's network calls obey the tweaks of `computation`.

    It is one for a pass and its decoding: hypertile's draws go on from call to call. It nests; the
    inner one alone counts. Networks that were never prepared do not notice.
    """
    token = _current.set(computation)
    try:
        yield
    finally:
        _current.reset(token)


def computing(tweaks: NetworkTweaks, width: int, height: int) -> AbstractContextManager[None]:
    """The same with draws of its own, from their beginning."""
    return in_force(computation_of(tweaks, width, height))
