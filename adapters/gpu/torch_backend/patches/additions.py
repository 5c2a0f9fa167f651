"""The LoRAs, hypernetworks and embeddings that the calling thread's job adds to a checkpoint.

They are in a context variable, so each thread has its own. Source: spec networks.md 2.5, 2.6, 3.2.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from hexfusion.adapters.gpu.torch_backend.patches.embeddings import EmbeddingVocabulary
from hexfusion.adapters.gpu.torch_backend.patches.hypernetwork import Hypernetwork
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import MergedWeights
from hexfusion.domain.extra_networks import UsedEmbedding


@dataclass(frozen=True, eq=False)
class Additions:
    """What a job adds to one checkpoint's networks.

    `key` is equal for equal sets of LoRAs, `merged` has the weights with them. `vocabulary` finds
    embeddings in prompts. `used` is filled with the embeddings named by the texts encoded so far,
    those of the last texts first. `comments` say what could not be added. `shared` keeps alive what
    equal jobs share: the store refers to it weakly.
    """

    key: Hashable = None
    merged: MergedWeights | None = None
    hypernetworks: Sequence[Hypernetwork] = ()
    vocabulary: EmbeddingVocabulary | None = None
    comments: tuple[str, ...] = ()
    used: list[UsedEmbedding] = field(default_factory=list)
    shared: object = None


_current: ContextVar[Additions | None] = ContextVar("additions", default=None)
#: The additions of the calling thread, None where networks compute as they are.
current = _current.get


@contextmanager
def adding(additions: Additions | None) -> Iterator[None]:
    """In this context the calling thread's calls of prepared networks use `additions`.

    `additions` are for one checkpoint, whose networks alone may be called inside. Of nested
    contexts only the inner one applies.
    """
    token = _current.set(additions)
    try:
        yield
    finally:
        _current.reset(token)
