"""A whole application around the fake backend, for tests of its use-cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from adapters.gpu.fake import FakeInference
from adapters.storage.options_memory import MemoryOptions
from application.generate import GenerateTxt2Img
from application.jobs import JobQueue
from application.models import Models
from application.ports.inference import Inference
from application.progress import ReadProgress
from domain.checkpoints import Checkpoint, find
from domain.errors import NotFound

TINY = Checkpoint(name="tiny.safetensors", filename="/models/tiny.safetensors")
OTHER = Checkpoint(name="other.safetensors", filename="/models/other.safetensors")


class Catalog:
    """A catalogue whose hashes are made up."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._checkpoints = list(checkpoints)

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self._checkpoints

    def refresh(self, *, hidden: bool = True) -> None:
        pass

    def resolve(self, name: str) -> Checkpoint:
        found = find(self._checkpoints, name)
        if found is None:
            raise NotFound("checkpoint", name)
        return found

    def hash(self, checkpoint: Checkpoint) -> Checkpoint:
        return Checkpoint(
            name=checkpoint.name, filename=checkpoint.filename, sha256="0123456789abcdef" * 4
        )


@dataclass
class World:
    """`txt2img` and what stands around it. Seeds are drawn as 1000, 1001, ..."""

    txt2img: GenerateTxt2Img
    jobs: JobQueue
    options: MemoryOptions
    progress: ReadProgress


def world(
    inference: Inference | None = None,
    *,
    slots: int = 1,
    max_waiting: int = 32,
    checkpoints: Sequence[Checkpoint] = (TINY, OTHER),
) -> World:
    backend = FakeInference()
    options = MemoryOptions()
    seconds = count(1_700_000_000)
    clock = lambda: float(next(seconds))  # noqa: E731
    jobs = JobQueue(clock, slots=slots, max_waiting=max_waiting)
    seeds = count(1000)
    generate = GenerateTxt2Img(
        inference or backend,
        Models(Catalog(checkpoints), backend),
        options,
        jobs,
        styles=tuple,
        draw_seed=lambda: next(seeds),
        clock=clock,
        version="v1.10.1",
    )
    return World(generate, jobs, options, ReadProgress(jobs, options))
