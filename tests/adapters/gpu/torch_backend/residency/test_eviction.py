"""Which checkpoints stay: decisions alone. Source: spec networks.md 1.5, docs/adr/0018."""

from hypothesis import given
from hypothesis import strategies as st

from hexfusion.adapters.gpu.torch_backend.residency.eviction import (
    HeldCheckpoint,
    MemoryLimits,
    choose_evictions,
)

GIB = 1 << 30

HELD = st.lists(
    st.builds(
        HeldCheckpoint,
        file=st.uuids().map(str),
        size=st.integers(0, 10),
        ready=st.booleans(),
        fixed=st.booleans(),
    ),
    max_size=8,
).map(
    # What a job uses is on the device.
    lambda held: [HeldCheckpoint(e.file, e.size, e.ready or e.fixed, e.fixed) for e in held]
)
LIMITS = st.builds(
    MemoryLimits,
    count=st.integers(-1, 5),
    cached=st.integers(-1, 3),
    only_last=st.booleans(),
    device=st.integers(0, 40),
    ram=st.integers(0, 40),
)


@given(HELD, LIMITS, st.booleans(), st.integers(0, 20))
def test_afterwards_the_limits_are_kept_but_for_what_is_in_use(held, limits, ram, others):
    verdict = choose_evictions(held, limits, ram=ram, others=others)
    left = [each for each in held if each.file not in verdict.gone]
    fixed = [each for each in held if each.fixed]
    assert not {each.file for each in fixed} & {*verdict.gone, *verdict.to_ram}
    assert not {*verdict.gone} & {*verdict.to_ram}
    assert len(left) <= max(len(fixed), max(1, limits.count) + max(0, limits.cached))
    here = [each for each in left if each.ready and each.file not in verdict.to_ram]
    there = [each for each in left if each not in here]
    if not ram:
        assert verdict.to_ram == []
        idle = [each for each in left if not each.fixed]
        assert sum(each.size for each in left) + others <= limits.ram or not idle
        return
    idle = [each for each in here if not each.fixed]
    assert sum(each.size for each in here) + others <= limits.device or not idle
    assert sum(each.size for each in there) <= limits.ram
    if limits.only_last:
        assert idle == []


@given(HELD, LIMITS, st.booleans())
def test_where_there_is_room_nothing_goes(held, limits, ram):
    roomy = MemoryLimits(count=100, only_last=False)
    assert choose_evictions(held, roomy, ram=ram) == choose_evictions([], limits, ram=ram)


def held(*names, size=GIB, fixed="a"):
    return [HeldCheckpoint(name, size, fixed=name in fixed) for name in names]


def test_beyond_the_limit_goes_what_was_used_longest_ago():
    """Option sd_checkpoints_limit."""
    assert choose_evictions(held("a", "b", "c"), MemoryLimits(2), ram=False).gone == ["c"]
    assert choose_evictions(held("a", "b", "c"), MemoryLimits(), ram=False).gone == ["b", "c"]


def test_the_cache_is_so_many_more():
    """Option sd_checkpoint_cache."""
    assert choose_evictions(held("a", "b", "c"), MemoryLimits(1, cached=1), ram=False).gone == ["c"]


def test_what_was_not_used_last_waits_in_ram():
    """Option sd_checkpoints_keep_in_cpu."""
    assert choose_evictions(held("a", "b"), MemoryLimits(2), ram=True).to_ram == ["b"]
    assert choose_evictions(held("a", "b"), MemoryLimits(2, only_last=False), ram=True).to_ram == []


def test_what_is_too_much_for_the_device_waits_in_ram_and_what_is_too_much_for_that_goes():
    limits = MemoryLimits(9, only_last=False, device=2 * GIB, ram=GIB)
    verdict = choose_evictions(held("a", "b", "c", "d"), limits, ram=True)
    assert (verdict.to_ram, verdict.gone) == (["c"], ["d"])


def test_what_is_about_to_come_counts():
    limits = MemoryLimits(9, ram=3 * GIB)
    assert choose_evictions(held("a", "b"), limits, ram=False, others=GIB).gone == []
    assert choose_evictions(held("a", "b"), limits, ram=False, others=2 * GIB).gone == ["b"]
    assert choose_evictions(held("a", "b"), limits, ram=False, others=9 * GIB).gone == ["b"]
