"""The eviction policy: which checkpoints move to RAM and which are dropped.

Pure functions of sizes, places and uses; nothing is moved here. Source: spec networks.md 1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class MemoryLimits:
    """How many checkpoints to keep, and how much memory they may take.

    `count` (option `sd_checkpoints_limit`) checkpoints are kept, and `cached` more (option
    `sd_checkpoint_cache`). With `only_last` (option `sd_checkpoints_keep_in_cpu`) only the one
    used last stays on the device; the others wait in RAM. `device` and `ram` are budgets in bytes.
    On the CPU both are the same memory, and only `ram` applies. Checkpoints that jobs use, and the
    one used last, are kept even over the budget.
    """

    count: int = 1
    cached: int = 0
    only_last: bool = True
    device: int = 1 << 62
    ram: int = 1 << 62


@dataclass(frozen=True)
class HeldCheckpoint:
    """A checkpoint in memory: its `file`, and its `size` in bytes.

    `ready`: it is on the device. `fixed`: it must stay, because a job uses it or it was used last.
    """

    file: str
    size: int
    ready: bool = True
    fixed: bool = False


@dataclass(frozen=True)
class Evictions:
    """Files of the checkpoints that move to RAM, and of those that are dropped (`gone`)."""

    to_ram: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def choose_evictions(
    held: Sequence[HeldCheckpoint], limits: MemoryLimits, *, ram: bool, others: int = 0
) -> Evictions:
    """Which of the `held` checkpoints to move or drop; `held` starts with the one used last.

    `ram` says that RAM is separate from the device's memory. `others` are bytes on the device that
    something else takes, or is about to take.
    """
    kept: list[HeldCheckpoint] = []
    gone: list[str] = []
    places = max(1, limits.count) + max(0, limits.cached)
    for each in sorted(held, key=lambda each: not each.fixed):  # stable: those first, then by use
        if each.fixed or len(kept) < places:
            kept.append(each)
        else:
            gone.append(each.file)
    # In the order of use again, so that what was used longest ago leaves first.
    order = {each.file: place for place, each in enumerate(held)}
    kept.sort(key=lambda each: order[each.file])
    if not ram:
        gone += _over(kept, limits.ram - others)
        return Evictions(gone=gone)
    to_ram: list[str] = []
    if limits.only_last:
        to_ram += [each.file for each in kept if each.ready and not each.fixed]
    kept = [replace(each, ready=each.ready and each.file not in to_ram) for each in kept]
    leaving = _over([each for each in kept if each.ready], limits.device - others)
    to_ram += leaving
    waiting = [each for each in kept if not each.ready or each.file in leaving]
    dropped = _over(waiting, limits.ram)
    return Evictions([file for file in to_ram if file not in dropped], gone + dropped)


def _over(held: Sequence[HeldCheckpoint], budget: int) -> list[str]:
    """Files to drop to get within `budget` bytes, least recently used first; never fixed ones."""
    total, leaving = sum(each.size for each in held), []
    for each in reversed(held):
        if total <= budget:
            break
        if not each.fixed:
            leaving.append(each.file)
            total -= each.size
    return leaving
