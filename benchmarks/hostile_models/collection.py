"""All hostile files, always the same."""

from collections.abc import Sequence
from functools import cache

from benchmarks.hostile_models import archives, beside, headers, pickles, pictures, places, tensors
from benchmarks.hostile_models.case import Case
from benchmarks.hostile_models.kinds import KINDS

_ATTACKS = (headers, tensors, pickles, archives, beside, pictures, places)


@cache
def collection() -> Sequence[Case]:
    """Each once, by kind of attack."""
    return tuple(case for attack in _ATTACKS for case in attack.cases())


def few() -> Sequence[Case]:
    """One of each class, and of each kind of file: what a quick test has time for."""
    chosen: dict[str, Case] = {}
    for kinds in (_SMALL, tuple(KINDS)):
        for case in collection():
            if case.kind in kinds:
                chosen.setdefault(case.attack, case)
    for kind in KINDS:
        if kind not in {case.kind for case in chosen.values()}:
            chosen[kind] = next(case for case in collection() if case.kind == kind)
    return tuple(chosen.values())


#: Kinds whose sound files are small.
_SMALL = ("embedding", "upscaler", "hypernetwork", "LoRA")
