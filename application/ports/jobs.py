"""Where finished jobs are kept, with what came of them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.progress import Progress


class JobStoreError(HexfusionError):
    """What came of a job cannot be written or read: no permission, no space."""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is over. Times are seconds of epoch time.

    `progress` is how far it came. `digest` tells whether another request of that id is the same
    one. `size` is that of what is kept beside the record, bytes; `kept` says whether that is a
    result, an error, or nothing.
    """

    id: str
    kind: str
    owner: str | None = None
    state: str
    kept: str = "nothing"
    digest: str = ""
    progress: Progress = Progress()
    queued_at: float
    started_at: float | None = None
    finished_at: float
    size: int = 0


class JobStore(Protocol):
    """Records and the bytes beside them. Safe to call from many threads.

    How long they stay is the caller's business. Of one owner there is one job of an id.
    """

    def put(self, record: JobRecord, body: bytes) -> None:
        """Keep both, whole or not at all; they take the place of that owner's job of that id.

        Raises `JobStoreError`.
        """
        ...

    def records(self) -> Sequence[JobRecord]:
        """All of them, those that finished first coming first."""
        ...

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        """That owner's job of that id, if it is kept."""
        ...

    def body(self, record: JobRecord) -> bytes:
        """What is kept beside the record. Raises `NotFound("job", id)`, `JobStoreError`."""
        ...

    def remove(self, record: JobRecord) -> None:
        """Keep it no longer; if it is gone already, nothing happens."""
        ...
