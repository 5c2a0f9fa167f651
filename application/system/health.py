"""Use-case: health, whether the server can accept a job now."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import HexfusionError


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a job would be taken, and if not, why."""

    ready: Annotated[bool, Meta(description="Whether a job would be taken.")]
    model: Annotated[
        str, Meta(description="loaded; loadable: the next job loads it; or why no model can be.")
    ]
    queue: Annotated[str, Meta(description="open, full or stopping.")]
    results: Annotated[
        str, Meta(description="writable; or why the results of jobs cannot be stored.")
    ] = "writable"


class ReadHealth:
    """The server is ready if a model is loaded or can be loaded, the queue is open, and the results
    of jobs can be stored (`probe` raises nothing)."""

    def __init__(
        self,
        models: Models,
        options: OptionsStore,
        jobs: JobQueue,
        probe: Callable[[], None] = lambda: None,
    ) -> None:
        self._models = models
        self._options = options
        self._jobs = jobs
        self._probe = probe

    def __call__(self) -> Health:
        try:
            model, fit = self._models.state(self._options.snapshot()), True
        except HexfusionError as error:
            model, fit = str(error), False
        queue = "stopping" if self._jobs.stopping else "full" if self._jobs.full() else "open"
        try:
            self._probe()
            results = "writable"
        except HexfusionError as error:
            results = str(error)
        ready = fit and queue == "open" and results == "writable"
        return Health(ready=ready, model=model, queue=queue, results=results)
