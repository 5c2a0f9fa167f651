"""Port: the store of finished jobs and their results."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.progress import Progress


class JobStoreError(HexfusionError):
    """The result of a job cannot be written or read: no permission, no space."""


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


class JobStore(Protocol):
    """Stores records with their results. Thread-safe.

    Deletes nothing by itself. (owner, id) is unique.
    """

    def put(self, record: JobRecord, body: bytes) -> None:
        """Store both atomically; they replace a job with the same owner and id.

        Raises `JobStoreError`.
        """
        ...

    def records(self) -> Sequence[JobRecord]:
        """All records, ordered by finishing time, oldest first."""
        ...

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        """The record with this owner and id, None if there is none."""
        ...

    def body(self, record: JobRecord) -> bytes:
        """The result or error stored with the record. Raises `NotFound("job", id)`,
        `JobStoreError`."""
        ...

    def remove(self, record: JobRecord) -> None:
        """Delete a record and its result; does nothing if it is not stored."""
        ...
