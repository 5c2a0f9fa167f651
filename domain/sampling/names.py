"""From what a request calls its sampler and schedule to the ones meant (spec sampling.md 3.1).

A1111 lets the schedule's name trail the sampler's ("DPM++ 2M Karras"). Where A1111 falls back
to its first sampler without a word, we try case and alias, and then say that there is no such
sampler.
"""

from hexfusion.domain.errors import NotFound
from hexfusion.domain.sampling.samplers import BY_NAME, SAMPLERS, Sampler
from hexfusion.domain.sampling.schedulers import AUTOMATIC, SCHEDULERS, Scheduler, find_scheduler


def resolve_names(
    sampler_name: str | None, scheduler: str | None = None, *, convert_automatic: bool = False
) -> tuple[Sampler, str]:
    """The sampler, and the label of the schedule, that two names mean.

    An empty `sampler_name` is the first sampler. A schedule that trails the sampler's name beats
    `scheduler`. With `convert_automatic` the sampler's own default is called "Automatic", as the
    API does before it looks at the request's schedule again.

    Raises NotFound("sampler", name) for a name that neither case nor alias explains.
    """
    sampler, found = _resolve(sampler_name or SAMPLERS[0].name, find_scheduler(scheduler))
    if convert_automatic and found.name == sampler.default_schedule:
        found = AUTOMATIC
    return sampler, found.label


def resolve_request(
    sampler_name: str | None, sampler_index: str | None, scheduler: str | None
) -> tuple[Sampler, str]:
    """The sampler and schedule label of an API request (spec api.md 5.2).

    `sampler_index` is the older name for the same field. Here an explicit `scheduler` beats a
    trailing one. Raises NotFound("sampler", name).
    """
    sampler, trailing = resolve_names(
        sampler_name or sampler_index, scheduler, convert_automatic=True
    )
    if not scheduler and trailing != AUTOMATIC.label:
        scheduler = trailing
    return sampler, find_scheduler(scheduler).label


def effective_scheduler(sampler: Sampler, label: str) -> str:
    """The label that infotext records: what "Automatic" stood for, where it stood for something."""
    if label == AUTOMATIC.label and sampler.default_schedule:
        return find_scheduler(sampler.default_schedule).label
    return label


def _resolve(name: str, given: Scheduler) -> tuple[Sampler, Scheduler]:
    rest, found = _cut_suffixes(name, given)
    if rest in BY_NAME:
        return BY_NAME[rest], found
    for rest, found in _forgiving_readings(name, given):
        if sampler := _BY_FOLDED.get(rest):
            return sampler, found
    raise NotFound("sampler", name)


def _cut_suffixes(name: str, found: Scheduler) -> tuple[str, Scheduler]:
    """A1111's reading: each schedule in list order may cut its name off the end, once."""
    for scheduler in SCHEDULERS:
        for suffix in scheduler.suffixes:
            if name.endswith(f" {suffix}"):
                name, found = name.removesuffix(f" {suffix}"), scheduler
                break
    return name, found


def _forgiving_readings(name: str, given: Scheduler) -> list[tuple[str, Scheduler]]:
    """The whole name as a sampler's, then each possible cut, whatever the case."""
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
