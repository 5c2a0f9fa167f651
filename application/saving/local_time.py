"""The clock as texts show it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hexfusion.application.jobs.job import Clock
from hexfusion.domain.filenames.name_facts import FormatTime


def time_formatter(clock: Clock) -> FormatTime:
    """Reads the clock at every call; see `FormatTime`."""

    def format_time(format: str, zone: str | None) -> str:
        return datetime.fromtimestamp(clock()).astimezone(_zone(zone)).strftime(format)

    return format_time


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # no such zone, no name of one, or that of a folder
        return None
