"""Use-case: a report on the server, to show somebody who helps. Source: spec api.md 16."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hexfusion.application.jobs.job import Clock
from hexfusion.application.ports.options import OptionsStore

#: In A1111's order. What it tells of its own installation is null here.
_MEMBERS = (
    "Platform", "Python", "Version", "Commit", "Git status", "Script path", "Data path",
    "Extensions dir", "Checksum", "Commandline", "Torch env info", "Exceptions", "CPU", "RAM",
    "Extensions", "Inactive extensions", "Environment", "Config", "Startup", "Packages",
)  # fmt: skip
_LISTS = ("Exceptions", "Extensions", "Inactive extensions")
#: Stands in the place of the checksum while it is taken.
_TOKEN = "0" * 64


@dataclass(frozen=True)
class SysinfoReport:
    """JSON text, and a name for the file it may be kept in."""

    text: str
    file: str


class ReadSysinfo:
    """What `GET /internal/sysinfo` shows."""

    def __init__(
        self,
        machine: Callable[[], Mapping[str, object]],
        options: OptionsStore,
        clock: Clock,
        *,
        version: str,
        data_path: str,
        command_line: Sequence[str],
    ) -> None:
        """`machine` tells what the members "Platform", "Python", "CPU" ... hold; `command_line`
        must not hold secrets."""
        self._machine = machine
        self._options = options
        self._clock = clock
        self._known = {
            "Version": version,
            "Data path": data_path,
            "Commandline": list(command_line),
            "Checksum": _TOKEN,
        }

    def __call__(self) -> SysinfoReport:
        """The checksum is the sha256 of the text with 64 zeros in the checksum's place."""
        config = dict(self._options.snapshot().stored)
        known = {**self._known, **self._machine(), "Config": config}
        members = {name: known.get(name, [] if name in _LISTS else None) for name in _MEMBERS}
        text = json.dumps(members, indent=4)
        checksum = hashlib.sha256(text.encode()).hexdigest()
        when = time.strftime("%Y-%m-%d-%H-%M", time.gmtime(self._clock()))
        return SysinfoReport(text.replace(_TOKEN, checksum, 1), f"sysinfo-{when}.json")
