"""How long finished jobs are kept: a stated time, a number, and a number of bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.ports.jobs import JobRecord


@dataclass(frozen=True)
class Retention:
    """At most `seconds` after a job finished; at most `jobs` of them, with `bytes` in all."""

    seconds: float = 3600.0
    jobs: int = 200
    bytes: int = 256 * 2**20

    def outdated(self, records: Sequence[JobRecord], now: float) -> list[JobRecord]:
        """Those to let go of. `records` come first finished first, and go in that order."""
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
        """When the record is let go of at the latest, seconds of epoch time."""
        return record.finished_at + self.seconds
