"""What the calling thread's job adds: a context variable, so each thread has its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexfusion.adapters.gpu.torch_backend.extra_networks.store import Additions

_current: "ContextVar[Additions | None]" = ContextVar("additions", default=None)
#: The additions of the calling thread, None where networks compute as they are.
current = _current.get


@contextmanager
def adding(additions: "Additions | None") -> Iterator[None]:
    """Inside, prepared networks that the calling thread calls compute with `additions`.

    They are for one checkpoint, and so should the calls be. It nests; the inner one alone counts.
    """
    token = _current.set(additions)
    try:
        yield
    finally:
        _current.reset(token)
