"""Port: the store of accepted and finished jobs, and of their results."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.progress import Progress

#: Bytes of a body in memory that are sent at once.
_CHUNK = 2**18


class JobStoreError(HexfusionError):
    """A job or its result cannot be written or read: no permission, no space, no descriptors."""


class ResultDamaged(JobStoreError):
    """What is stored of a job is not what was written: cut short, changed, or missing."""


class Body(Protocol):
    """The JSON of a reply: bytes that may be read more than once, at the same time too.

    Whatever it holds (a file) is freed with the last reference to it.
    """

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Its bytes from the beginning, in pieces. Raises `JobStoreError`."""
        ...


class BytesBody(bytes):
    """A `Body` in memory."""

    @property
    def size(self) -> int:
        return len(self)

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self), _CHUNK):
            yield self[start : start + _CHUNK]  # of the class that WSGI wants, too


#: Collects the chunks of a reply as they are made.
Spool = Callable[[Iterable[bytes]], Body]


def whole(chunks: Iterable[bytes]) -> BytesBody:
    """A `Spool` that keeps everything in memory."""
    return BytesBody(b"".join(chunks))


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a finished job. Times are in seconds since 1970.

    `party` is who shares what is kept with others: the owner, or where there is none the client's
    address. `progress` is the last progress. `digest` is `Order.digest`, equal for equal requests.
    `kept` tells what is stored with the record: "result", "error" or "nothing"; `size` is its size
    in bytes.
    """

    id: str
    kind: str
    owner: str | None = None
    party: str = ""
    state: str
    kept: str = "nothing"
    digest: str = ""
    progress: Progress = Progress()
    queued_at: float
    started_at: float | None = None
    finished_at: float
    size: int = 0


class JobRequest(msgspec.Struct, frozen=True):
    """A request as it came: the `route` it was sent to, its body, and the body's media type."""

    route: str
    body: bytes
    media_type: str | None = None


class AcceptedJob(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a job that was accepted and is not over.

    `party` and `digest` are as in `JobRecord`. `begun` counts how often its work was begun; more
    than once only where a server ended without finishing it. `cancelled`: its client wants it no
    more.
    """

    id: str
    kind: str
    owner: str | None = None
    party: str = ""
    digest: str = ""
    queued_at: float
    begun: int = 0
    cancelled: bool = False


class JobStore(Protocol):
    """Stores jobs: accepted ones with their requests, finished ones with their results.

    Thread-safe. Deletes nothing by itself. (owner, id) is unique over both kinds. Each method
    writes wholly or not at all, and returns when what was written outlives the process, if this
    store's content does (`durable`).
    """

    @property
    def durable(self) -> bool:
        """Whether its content outlives the process."""
        ...

    def accept(self, job: AcceptedJob, request: JobRequest) -> None:
        """Store an accepted job; it replaces the job with the same owner and id.

        Raises `JobStoreError`.
        """
        ...

    def note(self, job: AcceptedJob) -> None:
        """Replace the record of an accepted job; does nothing if it is not stored as one.

        Raises `JobStoreError`.
        """
        ...

    def unfinished(self) -> Sequence[AcceptedJob]:
        """The accepted jobs, in the order of `queued_at`."""
        ...

    def accepted(self, id: str, owner: str | None) -> AcceptedJob | None:
        """The accepted job with this owner and id, None if there is none."""
        ...

    def request(self, job: AcceptedJob) -> JobRequest:
        """The request of an accepted job. Raises `NotFound("job", id)`, `JobStoreError`,
        `ResultDamaged`."""
        ...

    def put(self, record: JobRecord, body: Body) -> None:
        """Store a finished job; it replaces the job with the same owner and id.

        Raises `JobStoreError`; the job before it then stays.
        """
        ...

    def records(self) -> Sequence[JobRecord]:
        """The finished jobs, ordered by finishing time, oldest first."""
        ...

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        """The finished job with this owner and id, None if there is none."""
        ...

    def body(self, record: JobRecord) -> Body:
        """The result or error stored with the record, as it was put.

        Raises `NotFound("job", id)`, `JobStoreError`, `ResultDamaged`.
        """
        ...

    def remove(self, record: JobRecord) -> None:
        """Delete a finished job and its result; does nothing if it is not stored.

        Raises `JobStoreError`.
        """
        ...

    def probe(self) -> None:
        """Raises `JobStoreError`, with the reason, if nothing can be written now."""
        ...

    def close(self) -> None:
        """Let another process use it. Nothing may be called afterwards but this."""
        ...
