"""Retention of finished jobs: bounds on age, number and total size."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.ports.jobs import JobRecord


@dataclass(frozen=True)
class Retention:
    """Finished jobs are kept for `seconds`; at most `jobs` of them, of `bytes` in total."""

    seconds: float = 3600.0
    jobs: int = 200
    bytes: int = 256 * 2**20

    def outdated(self, records: Sequence[JobRecord], now: float) -> list[JobRecord]:
        """The records to delete at time `now`. `records` are ordered by finishing time; of too
        many, the oldest are deleted."""
        gone = [each for each in records if now >= self.until(each)]
        staying = [each for each in records if now < self.until(each)]
        size = sum(each.size for each in staying)
        for each in staying:
            if len(records) - len(gone) <= self.jobs and size <= self.bytes:
                break
            gone.append(each)
            size -= each.size
        return gone

    def until(self, record: JobRecord) -> float:
        """Latest time at which the record is deleted, in seconds since 1970."""
        return record.finished_at + self.seconds
