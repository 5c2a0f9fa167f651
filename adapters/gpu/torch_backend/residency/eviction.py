"""Which checkpoints stay in memory, which go to RAM, and which go altogether.

Decisions alone: sizes, places and uses in, names out. Source: spec networks.md 1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Limits:
    """What may be kept.

    `count` (option `sd_checkpoints_limit`) is how many at once, `cached` (`sd_checkpoint_cache`)
    how many more; with `only_last` (`sd_checkpoints_keep_in_cpu`) those not used last wait in RAM.
    `device` and `ram` are bytes that models may take in each; where the device is the CPU both are
    the same memory, and `ram` counts. What jobs use, and what was used last, stays whatever it
    takes: limits say what is kept beside it.
    """

    count: int = 1
    cached: int = 0
    only_last: bool = True
    device: int = 1 << 62
    ram: int = 1 << 62


@dataclass(frozen=True)
class Holding:
    """One that is held. `fixed`: a job uses it, or it was used last. `ready`: on the device."""

    file: str
    size: int
    ready: bool = True
    fixed: bool = False


@dataclass(frozen=True)
class Verdict:
    """What has to leave the device for RAM, and what memory altogether."""

    to_ram: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def judge(held: Sequence[Holding], limits: Limits, *, ram: bool, others: int = 0) -> Verdict:
    """Who has to leave, of those held, the one used last first.

    `ram`: it is another memory than the device's. `others` are bytes that something else takes on
    the device, or is about to.
    """
    kept: list[Holding] = []
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
        return Verdict(gone=gone)
    to_ram: list[str] = []
    if limits.only_last:
        to_ram += [each.file for each in kept if each.ready and not each.fixed]
    kept = [replace(each, ready=each.ready and each.file not in to_ram) for each in kept]
    leaving = _over([each for each in kept if each.ready], limits.device - others)
    to_ram += leaving
    waiting = [each for each in kept if not each.ready or each.file in leaving]
    dropped = _over(waiting, limits.ram)
    return Verdict([file for file in to_ram if file not in dropped], gone + dropped)


def _over(held: Sequence[Holding], budget: int) -> list[str]:
    """Those not fixed that make it more than the budget, the one used longest ago first."""
    total, leaving = sum(each.size for each in held), []
    for each in reversed(held):
        if total <= budget:
            break
        if not each.fixed:
            leaving.append(each.file)
            total -= each.size
    return leaving
