"""The tweaks in force: a context variable, so each thread has its own."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def computing(tweaks: NetworkTweaks, width: int, height: int) -> Iterator[None]:
    """Inside, the calling thread's network calls obey `tweaks`.

    Enter it once for a pass, whose picture is `width` x `height` pixels, and stay for the decoding:
    hypertile's draws go on from call to call. It nests; the inner one alone counts, and draws from
    its own beginning. Networks that were never prepared do not notice.
    """
    plain = tweaks == NetworkTweaks()
    token = _current.set(None if plain else Computation(tweaks, width, height))
    try:
        yield
    finally:
        _current.reset(token)
