"""Looks up the sampler and schedule that a request names (spec sampling.md 3.1).

As in A1111 the schedule's name may follow the sampler's ("DPM++ 2M Karras"). For an unknown sampler
A1111 silently uses its first one; this server ignores case and tries aliases, then raises NotFound.
"""

from hexfusion.domain.errors import NotFound
from hexfusion.domain.sampling.samplers import BY_NAME, SAMPLERS, Sampler
from hexfusion.domain.sampling.schedulers import AUTOMATIC, SCHEDULERS, Scheduler, find_scheduler


def resolve_names(
    sampler_name: str | None, scheduler: str | None = None, *, convert_automatic: bool = False
) -> tuple[Sampler, str]:
    """(sampler, label of the schedule) for a sampler name and a schedule name.

    An empty `sampler_name` means the first sampler. A schedule at the end of `sampler_name` takes
    precedence over `scheduler`. With `convert_automatic` the sampler's default schedule is returned
    as "Automatic", as in A1111's API.

    Raises NotFound("sampler", name) if no sampler has the name or an alias, ignoring case.
    """
    sampler, schedule = _resolve(sampler_name or SAMPLERS[0].name, find_scheduler(scheduler))
    if convert_automatic and schedule.name == sampler.default_schedule:
        schedule = AUTOMATIC
    return sampler, schedule.label


def resolve_request(
    sampler_name: str | None, sampler_index: str | None, scheduler: str | None
) -> tuple[Sampler, str]:
    """The sampler and schedule label of an API request (spec api.md 5.2).

    `sampler_index` is the older field, used if `sampler_name` is empty. Here an explicit
    `scheduler` takes precedence over one at the end of the sampler's name. Raises
    NotFound("sampler", name).
    """
    sampler, trailing = resolve_names(
        sampler_name or sampler_index, scheduler, convert_automatic=True
    )
    if not scheduler and trailing != AUTOMATIC.label:
        scheduler = trailing
    return sampler, find_scheduler(scheduler).label


def effective_scheduler(sampler: Sampler, label: str) -> str:
    """The label that infotext records: "Automatic" is replaced by the sampler's default schedule,
    if it has one."""
    if label == AUTOMATIC.label and sampler.default_schedule:
        return find_scheduler(sampler.default_schedule).label
    return label


def _resolve(name: str, given: Scheduler) -> tuple[Sampler, Scheduler]:
    rest, schedule = _cut_suffixes(name, given)
    if rest in BY_NAME:
        return BY_NAME[rest], schedule
    for rest, schedule in _forgiving_readings(name, given):
        if sampler := _BY_FOLDED.get(rest):
            return sampler, schedule
    raise NotFound("sampler", name)


def _cut_suffixes(name: str, schedule: Scheduler) -> tuple[str, Scheduler]:
    """A1111's rule: each schedule, in list order, removes its name from the end, once."""
    for scheduler in SCHEDULERS:
        for suffix in scheduler.suffixes:
            if name.endswith(f" {suffix}"):
                name, schedule = name.removesuffix(f" {suffix}"), scheduler
                break
    return name, schedule


def _forgiving_readings(name: str, given: Scheduler) -> list[tuple[str, Scheduler]]:
    """(case-folded sampler name, schedule): the whole name, then without each possible suffix."""
    folded = name.strip().casefold()
    cuts = [
        (folded.removesuffix(f" {suffix.casefold()}").rstrip(), scheduler)
        for scheduler in SCHEDULERS
        for suffix in scheduler.suffixes
        if folded.endswith(f" {suffix.casefold()}")
    ]
    return [(folded, given), *cuts]


_BY_FOLDED = {
    name.casefold(): sampler for sampler in SAMPLERS for name in (*sampler.aliases, sampler.name)
}
