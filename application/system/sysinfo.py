"""Use-case: the system report for support requests. Source: spec api.md 16."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hexfusion.application.jobs.job import Clock
from hexfusion.application.ports.options import OptionsStore

#: Members in A1111's order. Those about A1111's own installation are null here.
_MEMBERS = (
    "Platform", "Python", "Version", "Commit", "Git status", "Script path", "Data path",
    "Extensions dir", "Checksum", "Commandline", "Torch env info", "Exceptions", "CPU", "RAM",
    "Extensions", "Inactive extensions", "Environment", "Config", "Startup", "Packages",
)  # fmt: skip
_LISTS = ("Exceptions", "Extensions", "Inactive extensions")
#: Placeholder for the checksum while the checksum is computed.
_TOKEN = "0" * 64


@dataclass(frozen=True)
class SysinfoReport:
    """The report as JSON text, and a file name for downloads."""

    text: str
    file: str


class ReadSysinfo:
    """The data of `GET /internal/sysinfo`."""

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
        """`machine` returns the members "Platform", "Python", "CPU" ...; `command_line` must not
        contain secrets."""
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
