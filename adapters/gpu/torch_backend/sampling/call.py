"""`Call`, one call of a denoising network, and `Link`, which wraps the network.

This is the extension point around the network: a link may change the call, call the network more
than once, change its output, or hold a lock or context meanwhile. Links are chained by `linked`;
the sampling package adds none itself, `batch.py` does.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from hexfusion.domain.plan import SamplingPlan


@dataclass(frozen=True)
class Row:
    """What one row of a call is for.

    `image` is the index of the picture in the batch, `part` that of the text among the AND parts of
    its prompt. `positive` rows have a part of the prompt, others the negative prompt. A `blind`
    row's image channels are zeros (InstructPix2Pix, arXiv:2211.09800).
    """

    image: int
    positive: bool
    part: int = 0
    blind: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a denoising network.

    `x` is (rows, C, H, W) float32, scaled as the network wants it; `time` (rows,) float32, not
    rounded; `context` (rows, tokens, width) what the text encoders made of each row's text, and
    `vector` (rows, width) what they made of it as a whole, for networks that take that (SDXL).
    `rows` says what each row is. It is model call `step`, from 0, of `of` that are expected: a
    sampler may make a few more or fewer. `sampling` is the pass's.
    """

    x: Tensor
    time: Tensor
    context: Tensor
    vector: Tensor | None
    rows: tuple[Row, ...]
    step: int
    of: int
    sampling: SamplingPlan

    @property
    def share(self) -> float:
        """The share of the run that is done: `step` / `of`, from 0."""
        return self.step / self.of

    @property
    def images(self) -> list[int]:
        """The index of each row's picture."""
        return [row.image for row in self.rows]


Network = Callable[[Call], Tensor]
"""Answers a call: the prediction for each row, (rows, C, H, W) float32.

Casting to a lower precision and back is the network's own business.
"""

Link = Callable[[Call, Network], Tensor]
"""(call, the network or the next link) -> the prediction, shaped as the network's."""


def linked(network: Network, *links: Link) -> Network:
    """The network wrapped by these links; the first link is the outermost."""
    for link in reversed(links):
        network = _behind(link, network)
    return network


def _behind(link: Link, network: Network) -> Network:
    return lambda call: link(call, network)


def inside(enter: Callable[[], AbstractContextManager[object]]) -> Link:
    """A link that makes every call inside a new context from `enter`, such as a lock."""

    def link(call: Call, answer: Network) -> Tensor:
        with enter():
            return answer(call)

    return link
