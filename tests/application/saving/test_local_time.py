"""Times in file names (spec prompts.md 9.3, `datetime`)."""

import time

import pytest

from hexfusion.application.saving.local_time import time_formatter

#: 2026-11-22 12:00:00 UTC
format_time = time_formatter(lambda: 1795348800.0)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "12:00 +0000"),
        ("Asia/Tokyo", "21:00 +0900"),
        ("America/New_York", "07:00 -0500"),
    ],
)
def test_zones_go_by_their_iana_names(zone, shown):
    assert format_time("%H:%M %z", zone) == shown


@pytest.mark.parametrize("zone", [None, "", "Nowhere", "Asia", "../../etc/passwd", "/etc", "a\0b"])
def test_what_is_no_zone_is_local_time(zone):
    local = time.strftime("%Y-%m-%d %H:%M %z", time.localtime(1795348800))
    assert format_time("%Y-%m-%d %H:%M %z", zone) == local
