"""Orders: what clients ask for, and how two are told apart."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from hexfusion.application.jobs.job import Abandoned, Clock, Job
from hexfusion.application.ports.jobs import JobRecord
from hexfusion.domain.errors import JobConflict

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedJob(Generic[T]):
    """Work that is checked and planned: called with its job, once that has its turn.

    `models` are the files of the checkpoints that it uses.
    """

    make: Callable[[Job], T]
    models: Collection[str] = ()

    def __call__(self, job: Job) -> T:
        return self.make(job)


@dataclass(frozen=True)
class Order(Generic[T]):
    """What a client asks for, checked and planned.

    `fields` are the request's JSON members, by which two orders are told apart. `make` does the
    work when the job has its turn; `encode` makes of the outcome the bytes that are answered and
    kept, `explain` of an error. `models` are the files of the checkpoints that it uses.
    """

    kind: str
    id: str | None
    fields: Mapping[str, object]
    make: Callable[[Job], T]
    encode: Callable[[T], bytes]
    explain: Callable[[Exception], bytes]
    models: Collection[str] = ()

    @property
    def digest(self) -> str:
        """Equal for equal requests."""
        text = msgspec.json.encode([self.kind, self.fields], order="sorted")
        return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True)
class JobOutcome:
    """What the client gets. `replayed`: it was made for an earlier request of that id."""

    id: str
    body: bytes
    replayed: bool = False


def check_same(known: Order[Any], order: Order[Any]) -> None:
    """Raises `JobConflict` naming what differs."""
    assert order.id is not None
    if known.kind != order.kind:
        raise JobConflict(order.id, "kind")
    for name in dict.fromkeys((*known.fields, *order.fields)):
        if known.fields.get(name) != order.fields.get(name):
            raise JobConflict(order.id, name)


class Clients:
    """Those who wait for a job."""

    def __init__(self) -> None:
        self._waiting: list[Abandoned] = []

    def join(self, abandoned: Abandoned) -> None:
        self._waiting.append(abandoned)

    def leave(self, abandoned: Abandoned) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(abandoned)

    def gone(self) -> bool:
        """Whether none is left, or each has gone away."""
        return all(gone() for gone in list(self._waiting))

    def __len__(self) -> int:
        return len(self._waiting)


class Entry:
    """An order under way: its job, who wants it, and in the end what came of it.

    `record` is there once everything is written down, `over` set a moment later. An order may hold
    hundreds of megabytes of pictures, which go with the last name of the entry: so nothing that it
    holds leads back to it.
    """

    def __init__(self, order: Order[Any], clock: Clock, owner: str | None, id: str | None) -> None:
        self.clients = Clients()
        self.job = Job(order.kind, clock, id, self.clients.gone, owner, order.models)
        self.order = order
        self.keep = False
        self.over = threading.Event()
        self.outcome = b""
        self.error: Exception | None = None
        self.record: JobRecord | None = None

    def settle(self, abandoned: Abandoned) -> None:
        """Its client was told what came of it. An error leads to the frames it went through, and
        they to the entry: it is forgotten with the last client."""
        self.clients.leave(abandoned)
        if not self.clients:
            self.error = None
