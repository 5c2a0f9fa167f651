"""A whole application around the fake backend, for tests of its use-cases."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.catalogues.vaes_memory import MemoryVaes
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.generation.generate import Generate
from hexfusion.application.generation.img2img import GenerateImg2Img
from hexfusion.application.generation.txt2img import GenerateTxt2Img
from hexfusion.application.jobs.job import Clock
from hexfusion.application.jobs.progress import ReadProgress
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.images import ImageArchive
from hexfusion.application.ports.inference import Inference
from hexfusion.application.ports.spool import OpenSpool
from hexfusion.application.saving.save_images import SaveImages
from hexfusion.domain.checkpoints import Checkpoint, find
from hexfusion.domain.errors import NotFound
from hexfusion.domain.filenames import DEFAULT_RULES, NameRules
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.prompts import Style

G = TypeVar("G", bound=Generate)

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
    """The use-cases and what stands around them. Seeds are drawn as 1000, 1001, ..."""

    txt2img: GenerateTxt2Img
    img2img: GenerateImg2Img
    jobs: JobQueue
    options: MemoryOptions
    progress: ReadProgress
    archive: ImageArchive


def world(
    inference: Inference | None = None,
    *,
    slots: int = 1,
    max_waiting: int = 32,
    checkpoints: Sequence[Checkpoint] = (TINY, OTHER),
    archive: ImageArchive | None = None,
    styles: Sequence[Style] = (),
    clock: Clock | None = None,
    rules: NameRules = DEFAULT_RULES,
    history: bool = True,
    vaes: Mapping[str, bytes] | None = None,
    faces: FaceRestorer | None = None,
    limits: JobLimits = DEFAULT_LIMITS,
    open_spool: OpenSpool | None = None,
    seconds: float = math.inf,
) -> World:
    backend = FakeInference()
    options = MemoryOptions()
    archive = archive or MemoryImages()
    times = count(1_700_000_000)
    clock = clock or (lambda: float(next(times)))
    jobs = JobQueue(clock, slots=slots, max_waiting=max_waiting, seconds=seconds)
    seeds = count(1000)
    saving = SaveImages(
        archive, styles=lambda: styles, clock=clock, rules=rules, history=history, limits=limits
    )

    def use_case(kind: type[G]) -> G:
        return kind(
            inference or backend,
            Models(Catalog(checkpoints), backend),
            Vaes(MemoryVaes(vaes or {})),
            options,
            jobs,
            saving,
            styles=lambda: styles,
            draw_seed=lambda: next(seeds),
            clock=clock,
            version="v1.10.1",
            faces=faces or FakeFaceRestorer(),
            limits=limits,
            open_spool=open_spool,
        )

    return World(
        use_case(GenerateTxt2Img),
        use_case(GenerateImg2Img),
        jobs,
        options,
        ReadProgress(jobs, options),
        archive,
    )
