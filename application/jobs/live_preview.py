"""The live preview of a job: the latest preview, or the last finished picture.

Previews are decoded in the threads of the clients that request them, while sampling continues; so
the job may be at another step or batch when a preview is finished. Source: spec api.md 11.2, 11.4.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from PIL.Image import Image


@dataclass(frozen=True)
class NumberedPreview:
    """A preview picture, and its number within the job, which differs for each picture."""

    number: int
    image: Image


class LivePreview:
    """The preview of one job. Thread-safe; no callback is called while its lock is held.

    A stage is one batch, or a restart of the same batch; steps are counted within a stage. A
    preview that is finished after its stage is over is discarded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stage = 0
        self._make: Callable[[], Image] | None = None
        self._step = 0
        self._latest: NumberedPreview | None = None
        self._latest_step = -1  # within the stage; -1 is from before it
        self._making = False

    @property
    def number(self) -> int:
        """Number of the present picture; 0 before the first."""
        latest = self._latest
        return latest.number if latest else 0

    def offer(self, make: Callable[[], Image], step: int) -> None:
        """Record that step `step` (from 1) of the stage is done; `make` decodes a preview of it.

        A smaller `step` than before starts a new stage: the backend restarts a batch after running
        out of memory.
        """
        with self._lock:
            if step < self._step:
                self._begin()
            self._make, self._step = make, step

    def begin(self) -> None:
        """Start a stage. The last picture stays until there is a preview of the new stage."""
        with self._lock:
            self._begin()

    def finish(self, image: Image) -> None:
        """End the stage; its finished picture becomes the preview."""
        with self._lock:
            self._begin()
            self._show(image)

    def latest(self, every: int = 1) -> NumberedPreview | None:
        """The latest preview, None before the first.

        If the last one is `every` steps old or more, a new one is made now; never with `every` -1.
        Only one caller makes it; others get the last one meanwhile, so that any number of watchers
        occupies one thread. If making it fails, the last one is returned.
        """
        with self._lock:
            make, step, stage = self._make, self._step, self._stage
            fresh = self._latest is not None and step - self._latest_step < every
            if make is None or every < 0 or fresh or self._making:
                return self._latest
            self._making = True
        image = None
        try:
            image = make()
        except Exception:
            pass  # as said above
        finally:
            with self._lock:
                self._making = False
                # The job went on: by now there may be a finished picture, or another batch.
                if image is not None and stage == self._stage:
                    self._show(image)
                    self._latest_step = step
        return self._latest

    def _begin(self) -> None:
        self._stage += 1
        self._make, self._step, self._latest_step = None, 0, -1  # `_make` holds on to latents

    def _show(self, image: Image) -> None:
        self._latest = NumberedPreview(self.number + 1, image)
