"""A backend without torch: deterministic pictures at once, for tests and for trying clients.

It keeps the port's promises (`tests/contracts/inference.py`): pictures depend on prompt, seed and
settings only, not on their neighbours in the batch; every step is observed; skip and interrupt end
the batch early; a checkpoint that cannot be read is refused and the one before stays.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
from PIL import Image, ImageDraw

from application.ports.inference import Observer, Verdict
from domain.checkpoints import Checkpoint
from domain.errors import CheckpointError
from domain.plan import Plan


def read_nothing(checkpoint: Checkpoint) -> None:
    """For checkpoints that are names only."""


def read_file(checkpoint: Checkpoint) -> None:
    """Look whether the file is there and, if it is a `.safetensors`, whole.

    Raises `CheckpointError`.
    """
    from safetensors import SafetensorError, safe_open

    file = checkpoint.filename
    try:
        if Path(file).suffix.lower() == ".safetensors":
            with safe_open(file, framework="np"):
                pass
        else:
            Path(file).open("rb").close()
    except OSError as error:
        raise CheckpointError(file, f"cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise CheckpointError(file, f"is not a sound safetensors file: {error}") from error


class FakeInference:
    """Draws, for every seed, a disc on a ground in colours hashed from all that the plan decides.

    `seconds_per_step` makes it as slow as a test needs it. `read` is called with each checkpoint
    that is to be loaded and may raise `CheckpointError`: `read_file` asks of a file what a backend
    with weights would ask first.
    """

    def __init__(
        self,
        seconds_per_step: float = 0.0,
        read: Callable[[Checkpoint], None] = read_nothing,
    ) -> None:
        self._pause = seconds_per_step
        self._read = read
        self._loaded: Checkpoint | None = None

    def render(self, plan: Plan, observer: Observer) -> Sequence[Image.Image]:
        """See `Inference.render`."""
        self.load(plan.checkpoint)
        steps = plan.sampling.steps
        done = 0
        for done in range(1, steps + 1):
            time.sleep(self._pause)
            verdict = observer(done, steps, partial(_draw, plan, 0, done))
            if verdict is not Verdict.CONTINUE:
                break
        return [_draw(plan, i, done) for i in range(plan.batch_size)]

    def load(self, checkpoint: Checkpoint) -> None:
        """See `ModelHost.load`."""
        loaded = self._loaded
        if loaded is None or loaded.filename != checkpoint.filename:
            self._read(checkpoint)
        self._loaded = checkpoint

    def loaded(self) -> Checkpoint | None:
        """See `ModelHost.loaded`."""
        return self._loaded

    def unload(self) -> None:
        """See `ModelHost.unload`."""
        self._loaded = None

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """See `ModelHost.memory`. It has no device."""
        return None


def _draw(plan: Plan, index: int, done: int) -> Image.Image:
    digest = hashlib.sha256(_identity(plan, index)).digest()
    picture = Image.new("RGB", (plan.width, plan.height), tuple(digest[:3]))
    # The disc grows with the steps, so that an interrupted picture shows where it stopped.
    reach = min(plan.width, plan.height) * done / plan.sampling.steps / 2
    x, y = plan.width / 2, plan.height / 2
    box = (x - reach, y - reach, x + reach, y + reach)
    ImageDraw.Draw(picture).ellipse(box, fill=tuple(digest[3:6]))
    return picture


def _identity(plan: Plan, index: int) -> bytes:
    """All that decides picture `index`, without its neighbours."""
    return msgspec.json.encode(
        (
            plan.checkpoint.filename,
            plan.text.positive[index],
            plan.text.negative[index],
            plan.text.clip_skip,
            plan.text.emphasis,
            plan.text.comma_backtrack,
            plan.noise.seeds[index],
            plan.noise.subseeds[index] if plan.noise.subseed_strength else None,
            plan.noise.subseed_strength,
            plan.noise.resize_from,
            plan.cfg_scale,
            plan.sampling,
        )
    )
