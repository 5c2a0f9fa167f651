"""What a job shows of itself: the latest preview, or the last picture that is finished.

Previews are made in the threads of those who look, while the job goes on: one may be finished when
the job is somewhere else by then. Source: spec api.md 11.2, 11.4.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from PIL.Image import Image


@dataclass(frozen=True)
class NumberedPreview:
    """A picture to show, and its number within the job, by which it is told from the one before."""

    number: int
    image: Image


class LivePreview:
    """Safe to use from any thread. Foreign code is never called under its lock.

    A job goes through stages: a batch, or the same batch begun anew. Steps are counted within one.
    What was made of a stage is not stored once that is over.
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
        """That of the picture shown now; 0 before there is one."""
        latest = self._latest
        return latest.number if latest else 0

    def offer(self, make: Callable[[], Image], step: int) -> None:
        """Step `step` (from 1) of the stage is done; `make` makes a picture of it.

        A step back begins a new stage: the backend begins a batch anew when memory ran out.
        """
        with self._lock:
            if step < self._step:
                self._begin()
            self._make, self._step = make, step

    def begin(self) -> None:
        """A stage begins. Until it has a preview the last picture is shown."""
        with self._lock:
            self._begin()

    def finish(self, image: Image) -> None:
        """The stage is over, and this is what came of it."""
        with self._lock:
            self._begin()
            self._show(image)

    def latest(self, every: int = 1) -> NumberedPreview | None:
        """The picture to show, made now unless there is one not older than `every` steps.

        `every` -1 makes no new one. One caller makes it at a time; the others are shown the last
        one meanwhile, so that watching holds one thread however many watch. A preview that cannot
        be made is no error: the last one stays.
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
