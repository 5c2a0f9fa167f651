"""A fake inference backend without torch, for tests and for trying out clients.

It fulfils the port's contract (`tests/contracts/inference.py`): pictures are deterministic and
depend on prompt, seed and settings only, not on the rest of the batch; the observer is called at
every step; skip and interrupt end the batch early; a checkpoint that cannot be read is refused, and
the previous one stays loaded.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
from PIL import Image, ImageDraw

from hexfusion.application.ports.inference import Observer, Rendered, Resident, Sources, Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import HiresPlan, NoisePlan, Pass, Plan, PreviewPlan
from hexfusion.domain.vaes import VaeFile


def read_nothing(checkpoint: Checkpoint) -> None:
    """Reads nothing; for checkpoints without a file."""


def read_file(checkpoint: Checkpoint) -> None:
    """Check that the file can be opened and, if it is a `.safetensors`, that it is complete.

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
    """Draws a disc for each seed, in colours hashed from the settings of the plan.

    `seconds_per_step` delays each step. `read` is called with each checkpoint before it is loaded,
    and with each VAE as a `Checkpoint`; it may raise `CheckpointError`, as `read_file` does.
    """

    def __init__(
        self,
        seconds_per_step: float = 0.0,
        read: Callable[[Checkpoint], None] = read_nothing,
    ) -> None:
        self._pause = seconds_per_step
        self._read = read
        self._loaded: Checkpoint | None = None

    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        """See `Inference.render`. Init pictures are blended with the drawing by the denoising
        strength."""
        for checkpoint, vae in reversed(plan.models):
            self.load(checkpoint, vae)
        done, verdict = 0, Verdict.CONTINUE
        for done in range(1, plan.steps + 1):
            time.sleep(self._pause)
            verdict = observer(done, plan.steps, partial(_draw, plan, 0, done, plan.size, sources))
            if verdict is not Verdict.CONTINUE:
                break
        interrupted = verdict is Verdict.INTERRUPT
        size = plan.size_if_interrupted(done) if interrupted else plan.size
        soft = plan.init is not None and plan.init.soft is not None
        keep = plan.hires is not None and plan.hires.keep_first_pass and done > plan.pass_steps[0]
        return Rendered(
            [_draw(plan, i, done, size, sources) for i in range(plan.batch_size)],
            changed=[sources.mask] * plan.batch_size if soft and sources and sources.mask else (),
            first_pass=[_first_pass(plan, i) for i in range(plan.batch_size)] if keep else (),
        )

    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        """See `ModelHost.load`."""
        loaded = self._loaded
        if loaded is None or loaded.filename != checkpoint.filename:
            self._read(checkpoint)
        if vae is not None:
            self._read(Checkpoint(name=vae.name, filename=vae.filename))
        self._loaded = checkpoint

    def loaded(self) -> Checkpoint | None:
        """See `ModelHost.loaded`."""
        return self._loaded

    def resident(self) -> Sequence[Resident]:
        """See `ModelHost.resident`. The size is 0."""
        loaded = self._loaded
        return [Resident(loaded, size=0)] if loaded else []

    def unload(self) -> None:
        """See `ModelHost.unload`."""
        self._loaded = None

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """See `ModelHost.memory`. There is no device."""
        return None


def _draw(
    plan: Plan, index: int, done: int, size: tuple[int, int], sources: Sources | None
) -> Image.Image:
    drawn = _drawn(plan, index, done, size)
    if plan.init is None or sources is None:
        return drawn
    start = sources.pictures[index].resize(size)
    strength = min(plan.init.denoising_strength, 1.0)
    if sources.mask is None:
        return Image.blend(start, drawn, strength)
    under = Image.new("RGB", size) if plan.init.content == "nothing" else start
    return Image.composite(Image.blend(under, drawn, strength), start, sources.mask.resize(size))


def _first_pass(plan: Plan, index: int) -> Image.Image:
    first = msgspec.structs.replace(plan, hires=None)
    return _drawn(first, index, first.steps, first.size)


def _drawn(plan: Plan, index: int, done: int, size: tuple[int, int]) -> Image.Image:
    digest = hashlib.sha256(_identity(plan, index)).digest()
    picture = Image.new("RGB", size, tuple(digest[:3]))
    # The disc grows with the steps, so that an interrupted picture shows where it stopped.
    reach = min(size) * done / max(plan.steps, 1) / 2
    x, y = size[0] / 2, size[1] / 2
    box = (x - reach, y - reach, x + reach, y + reach)
    ImageDraw.Draw(picture).ellipse(box, fill=tuple(digest[3:6]))
    return picture


def _identity(plan: Plan, index: int) -> bytes:
    """All settings that determine picture `index`, without those of the rest of the batch."""
    noise = plan.noise
    return msgspec.json.encode(
        (
            noise.seeds[index],
            noise.subseeds[index] if noise.subseed_strength else None,
            noise.subseed_strength,
            noise.resize_from,
            [_pass_identity(each, index) for each in plan.passes],
        )
    )


def _pass_identity(each: Pass, index: int) -> Pass:
    """The pass reduced to picture `index`."""
    text = msgspec.structs.replace(
        each.text, positive=(each.text.positive[index],), negative=(each.text.negative[index],)
    )
    alone = msgspec.structs.replace(each, text=text)
    if isinstance(alone, HiresPlan):
        return msgspec.structs.replace(alone, keep_first_pass=False)
    if isinstance(alone, Plan):
        nobody = NoisePlan(seeds=(), subseeds=())
        init = alone.init and msgspec.structs.replace(
            alone.init, seed=0, content_seeds=alone.init.content_seeds[index : index + 1]
        )
        return msgspec.structs.replace(
            alone, noise=nobody, init=init, hires=None, preview=PreviewPlan()
        )
    return alone
