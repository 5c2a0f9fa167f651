"""Retention of finished jobs: bounds on age, number and total size.

Each party loses its own: one that makes many small results, or a few large ones, takes nothing from
others that keep less than their share.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.jobs.job import party_of
from hexfusion.application.ports.jobs import JobRecord


@dataclass(frozen=True)
class Retention:
    """Finished jobs are kept for `seconds`; at most `jobs` of one party, `all_jobs` of all of them,
    of `bytes` in total."""

    seconds: float = 3600.0
    jobs: int = 200
    bytes: int = 256 * 2**20
    all_jobs: int = 2000

    def outdated(self, records: Sequence[JobRecord], now: float) -> list[JobRecord]:
        """The records to delete at time `now`. `records` are ordered by finishing time.

        Of a party's jobs beyond `jobs` the oldest go. While there are more than `all_jobs`, the
        oldest of the party with most of them goes; while they have more than `bytes`, the oldest of
        the party whose results are the largest. So no party loses a job while it has no more than
        the bound divided by the number of parties.
        """
        gone = [each for each in records if now >= self.until(each)]
        lines: dict[str, deque[JobRecord]] = defaultdict(deque)
        for each in records:
            if now < self.until(each):
                lines[party_kept(each)].append(each)
        for line in lines.values():
            while len(line) > self.jobs:
                gone.append(line.popleft())
        number = sum(map(len, lines.values()))
        while number > self.all_jobs:
            gone.append(max(lines.values(), key=_many).popleft())
            number -= 1
        sizes = {party: sum(each.size for each in line) for party, line in lines.items()}
        size = sum(sizes.values())
        while size > self.bytes:
            party = max(sizes, key=lambda each: (sizes[each], _age(lines[each])))
            oldest = lines[party].popleft()
            gone.append(oldest)
            sizes[party] -= oldest.size
            size -= oldest.size
        return gone

    def until(self, record: JobRecord) -> float:
        """Latest time at which the record is deleted, in seconds since 1970."""
        return record.finished_at + self.seconds


def party_kept(record: JobRecord) -> str:
    """Whose record it is, for the bounds: the login's, else the address's."""
    return record.party if record.owner is None else party_of(record.owner)


def _many(line: deque[JobRecord]) -> tuple[int, float]:
    """How many there are; of equally many, those with the oldest."""
    return len(line), _age(line)


def _age(line: deque[JobRecord]) -> float:
    return -line[0].finished_at if line else float("-inf")
