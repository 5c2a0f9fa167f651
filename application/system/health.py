"""Use-case: health, whether the server can accept a job now."""

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


class ReadHealth:
    """The server is ready if a model is loaded or can be loaded, and the queue is open."""

    def __init__(self, models: Models, options: OptionsStore, jobs: JobQueue) -> None:
        self._models = models
        self._options = options
        self._jobs = jobs

    def __call__(self) -> Health:
        try:
            model, fit = self._models.state(self._options.snapshot()), True
        except HexfusionError as error:
            model, fit = str(error), False
        queue = "stopping" if self._jobs.stopping else "full" if self._jobs.full() else "open"
        return Health(ready=fit and queue == "open", model=model, queue=queue)
