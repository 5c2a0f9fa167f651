"""How many files without a name this process has open."""

import contextlib
import os
from pathlib import Path


def nameless_files(folder: Path) -> int:
    """Descriptors of files in `folder` that were deleted, or never had a name, as temporary files.

    All descriptors cannot be counted where threads of other tests open and close theirs, nor all
    such files where what other tests left is collected meanwhile.
    """
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            target = os.readlink(f"/proc/self/fd/{number}")
            count += target.startswith(f"{folder}/") and target.endswith("(deleted)")
    return count
