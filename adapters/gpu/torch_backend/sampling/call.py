"""One call of a denoising network, and the chain of links that answers it.

This is the seam around the network: whatever a job adds to a call is a link of the chain, which may
change what is asked, ask more than once, change the answer, or hold something meanwhile. Sampling
itself puts in no link; whoever has the network puts together the chain (`batch.py`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from hexfusion.domain.plan import SamplingPlan


@dataclass(frozen=True)
class Row:
    """What one row of a call is.

    `image` is the picture's place in the batch and `part` that of the text among the parts of its
    prompt, both from 0. `positive` rows have a part of the prompt, the others the negative prompt.
    A `blind` row is shown nothing beside the latent (InstructPix2Pix, arXiv:2211.09800).
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
        """How much of the run is done, from 0: `step` of `of`."""
        return self.step / self.of

    @property
    def images(self) -> list[int]:
        """Each row's picture."""
        return [row.image for row in self.rows]


Network = Callable[[Call], Tensor]
"""Answers a call: the prediction for each row, (rows, C, H, W) float32.

Casting to a lower precision and back is the network's own business.
"""

Link = Callable[[Call, Network], Tensor]
"""A call, and who answers it further on -> the answer, shaped as the network's."""


def linked(network: Network, *links: Link) -> Network:
    """The network behind these links, the first of which hears of a call first."""
    for link in reversed(links):
        network = _behind(link, network)
    return network


def _behind(link: Link, network: Network) -> Network:
    return lambda call: link(call, network)


def inside(enter: Callable[[], AbstractContextManager[object]]) -> Link:
    """A link that has every call answered inside a context of its own: a lock that is held, a
    context variable that is set."""

    def link(call: Call, answer: Network) -> Tensor:
        with enter():
            return answer(call)

    return link
