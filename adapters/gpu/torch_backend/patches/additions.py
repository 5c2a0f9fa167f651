"""What the calling thread's job adds to one checkpoint's networks.

A context variable, so each thread has its own. Source: spec networks.md 2.5, 2.6, 3.2.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from hexfusion.adapters.gpu.torch_backend.patches.embeddings import Vocabulary
from hexfusion.adapters.gpu.torch_backend.patches.hypernetwork import Hypernetwork
from hexfusion.adapters.gpu.torch_backend.patches.merging import MergedWeights
from hexfusion.domain.extra_networks import UsedEmbedding


@dataclass(frozen=True, eq=False)
class Additions:
    """What a job adds to one checkpoint's networks.

    `key` is equal for equal LoRAs. `used` fills with the embeddings that the texts encoded with
    these additions named, those of the last texts first. `comments` say what could not be added.
    `shared` is what equal jobs share: the store keeps it only as long as one of them holds it here.
    """

    key: Hashable = None
    merged: MergedWeights | None = None
    hypernetworks: Sequence[Hypernetwork] = ()
    vocabulary: Vocabulary | None = None
    comments: tuple[str, ...] = ()
    used: list[UsedEmbedding] = field(default_factory=list)
    shared: object = None


_current: ContextVar[Additions | None] = ContextVar("additions", default=None)
#: The additions of the calling thread, None where networks compute as they are.
current = _current.get


@contextmanager
def adding(additions: Additions | None) -> Iterator[None]:
    """Inside, prepared networks that the calling thread calls compute with `additions`.

    They are for one checkpoint, and so should the calls be. It nests; the inner one alone counts.
    """
    token = _current.set(additions)
    try:
        yield
    finally:
        _current.reset(token)
