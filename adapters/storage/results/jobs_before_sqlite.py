"""Reads the files in which finished jobs were stored before `jobs_sqlite`.

A file `<hash>.job` consists of the record as JSON, a line break, and the result.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.results.bodies_files import FileBody
from hexfusion.application.ports.jobs import Body, JobRecord

log = logging.getLogger(__name__)

#: Longest first line (the record), in bytes.
_HEAD = 64 * 1024


def old_jobs(folder: Path) -> Iterator[tuple[Path, JobRecord, Body]]:
    """The old files of a folder, with the jobs in them. Damaged ones are left where they are."""
    for path in sorted(folder.glob("*.job")):
        try:
            with path.open("rb") as file:
                head = file.readline(_HEAD)
                record = msgspec.json.decode(head, type=JobRecord)
                if os.fstat(file.fileno()).st_size != len(head) + record.size:
                    raise ValueError("it is not whole")
                body = FileBody(os.dup(file.fileno()), record.size, len(head))
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            log.warning("ignoring %s: %s", path, error)
            continue
        yield path, record, body
