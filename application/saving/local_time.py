"""Formats the current time in a time zone, for file names."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hexfusion.application.jobs.job import Clock
from hexfusion.domain.filenames.name_facts import FormatTime


def time_formatter(clock: Clock) -> FormatTime:
    """A `FormatTime` that reads `clock` at each call."""

    def format_time(format: str, zone: str | None) -> str:
        return datetime.fromtimestamp(clock()).astimezone(_zone(zone)).strftime(format)

    return format_time


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # unknown zone, invalid name, or a folder of zones
        return None
