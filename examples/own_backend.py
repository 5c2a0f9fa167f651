"""One's own picture maker in place of torch: python examples/own_backend.py [flags of hexfusion]"""

import sys
from collections.abc import Sequence
from functools import partial
from random import Random

from PIL import Image

import hexfusion
from hexfusion.adapters.gpu.parts import Files, OwnParts
from hexfusion.application.ports.inference import Observer, Rendered, Resident, Sources, Verdict
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import Unsupported
from hexfusion.domain.flags import Flags
from hexfusion.domain.plan import Plan
from hexfusion.domain.vaes import VaeFile


class Clouds:
    """Coloured clouds drawn by lot from prompt and seed, finer with every step."""

    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        if sources:
            raise Unsupported("init_images", "clouds start from nothing")
        for step in range(1, plan.steps + 1):
            verdict = observer(step, plan.steps, partial(clouds, plan, 0, step, plan.size))
            if verdict is not Verdict.CONTINUE:
                break
        stopped = verdict is Verdict.INTERRUPT
        size = plan.size_if_interrupted(step) if stopped else plan.size
        return Rendered([clouds(plan, image, step, size) for image in range(plan.batch_size)])

    # The other port, ModelHost, keeps weights in memory. There are none.
    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None: ...
    def loaded(self) -> None: ...
    def resident(self) -> Sequence[Resident]:
        return ()

    def unload(self) -> None: ...
    def memory(self) -> None: ...


def clouds(plan: Plan, image: int, step: int, size: tuple[int, int]) -> Image.Image:
    lot = Random(f"{plan.text.positive[image]} {plan.noise.seeds[image]}")
    colours = Image.frombytes("RGB", (step + 1, step + 1), lot.randbytes(3 * (step + 1) ** 2))
    return colours.resize(size, Image.Resampling.BICUBIC)


def make_parts(flags: Flags, options: OptionsStore, files: Files) -> OwnParts:
    """For `hexfusion --backend clouds`: what an installed package's entry point names.

    [project.entry-points."hexfusion.backends"]
    clouds = "own_backend:make_parts"
    """
    return OwnParts(Clouds())


if __name__ == "__main__":
    studio = hexfusion.build(sys.argv[1:], backend=Clouds())
    studio.txt2img(hexfusion.Txt2Img(prompt="a sunset", steps=5)).pictures[0].save("picture.png")
