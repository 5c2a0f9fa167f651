"""Log of jobs that failed with nobody waiting for them: what an operator needs to know."""

import logging

from hexfusion.domain.errors import HexfusionError, JobCancelled, ServerStopping
from hexfusion.domain.one_line import one_line

_log = logging.getLogger("hexfusion.jobs")


def log_failure(job: str, error: BaseException) -> None:
    """Log why `job`, an id, came to nothing; with a traceback where nobody expected it."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, JobCancelled | ServerStopping):
        _log.info("job %s was stopped: %s", one_line(job), one_line(said))
    elif isinstance(error, HexfusionError | MemoryError):
        _log.warning("job %s failed: %s", one_line(job), one_line(said))
    else:
        _log.error("job %s failed: %s", one_line(job), one_line(said), exc_info=error)
