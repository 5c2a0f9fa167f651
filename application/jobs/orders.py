"""Job orders: planned requests that the job board runs, and whether two requests are equal."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from hexfusion.application.jobs.acceptance import Acceptance
from hexfusion.application.jobs.job import Abandoned, Clock, Job
from hexfusion.application.ports.jobs import Body, BytesBody, JobRecord
from hexfusion.domain.errors import JobConflict
from hexfusion.domain.job_limits import NOTHING, JobAmount

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedJob(Generic[T]):
    """A validated and planned request. Calling it with its job, once that has a slot, does the
    work.

    `models` are the paths of the checkpoints that it uses, `amount` is what it amounts to.
    """

    make: Callable[[Job], T]
    models: Collection[str] = ()
    amount: JobAmount = NOTHING

    def __call__(self, job: Job) -> T:
        return self.make(job)


@dataclass(frozen=True)
class Order(Generic[T]):
    """A request for a job, validated and planned.

    `kind` is the kind of job ("txt2img"), `id` the id that the client chose, None for a new one.
    `fields` are the request's JSON members: orders with equal kind and fields are equal. `make`
    does the work once the job has a slot; `encode` serialises its result, in chunks, `explain` an
    error, as the JSON that is sent and stored. `models` are the paths of the checkpoints that it
    uses. `holds` is kept for as long as the order: what is reserved for it is returned with it.
    """

    kind: str
    id: str | None
    fields: Mapping[str, object]
    make: Callable[[Job], T]
    encode: Callable[[T], Iterable[bytes]]
    explain: Callable[[Exception], bytes]
    models: Collection[str] = ()
    holds: object = None

    @cached_property
    def digest(self) -> str:
        """A hash of kind and fields (sha256, hex): equal for equal requests."""
        text = msgspec.json.encode([self.kind, self.fields], order="sorted")
        return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True)
class JobOutcome:
    """The encoded result of job `id`. `replayed`: it was made for an earlier, equal request."""

    id: str
    body: Body
    replayed: bool = False


def check_same(known: Order[Any], order: Order[Any]) -> None:
    """Raises `JobConflict`, naming the first field that differs, unless the orders are equal."""
    assert order.id is not None
    if known.kind != order.kind:
        raise JobConflict(order.id, "kind")
    for name in dict.fromkeys((*known.fields, *order.fields)):
        if known.fields.get(name) != order.fields.get(name):
            raise JobConflict(order.id, name)


class Clients:
    """The clients that wait for a job."""

    def __init__(self) -> None:
        self._waiting: list[Abandoned] = []
        self._wanted = False

    def want(self) -> None:
        """Have it done whether or not a client waits for it."""
        self._wanted = True

    def join(self, abandoned: Abandoned) -> None:
        self._waiting.append(abandoned)

    def leave(self, abandoned: Abandoned) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(abandoned)

    def gone(self) -> bool:
        """Whether nobody wants the job: no client is left that has not disconnected."""
        return not self._wanted and all(gone() for gone in list(self._waiting))

    def __len__(self) -> int:
        return len(self._waiting)


class Entry:
    """The board's entry for a job that is not yet over: order, job, clients, and its result.

    `record` is set once the result is stored, `over` directly afterwards. With `keep` the result is
    stored for later requests. `acceptance` is what is stored of the job before. `postponed`: the
    server stops, and the next one does the job.

    An order may hold hundreds of megabytes of pictures. It goes with the work (`release`), the
    error with the last client: the traceback of an error refers to the frames of the work, and to
    one that refers to this entry.
    """

    def __init__(
        self,
        order: Order[Any],
        clock: Clock,
        owner: str | None,
        id: str | None,
        acceptance: Acceptance,
        party: str | None = None,
    ) -> None:
        self.acceptance = acceptance
        self.clients = Clients()
        self.job = Job(order.kind, clock, id, self.clients.gone, owner, order.models, party)
        self.keep = False
        self.over = threading.Event()
        self.outcome: Body = BytesBody()
        self.error: Exception | None = None
        self.record: JobRecord | None = None
        self.postponed = False
        self._order: Order[Any] | None = order

    @property
    def order(self) -> Order[Any]:
        """Its order, until it is released."""
        assert self._order is not None, "the job is over"
        return self._order

    def release(self) -> None:
        """Forget the order, and what it holds."""
        self._order = None

    def settle(self, abandoned: Abandoned | None = None) -> None:
        """Remove a client that has its result; with the last client, the error is dropped too."""
        if abandoned:
            self.clients.leave(abandoned)
        if not self.clients:
            self.error = None
