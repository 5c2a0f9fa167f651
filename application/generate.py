"""Use-case: a txt2img request becomes pictures. Source: spec api.md 5 and 9."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec
from PIL.Image import Image

from application.infotext import Description, describe
from application.jobs import Abandoned, Clock, Job, JobQueue
from application.models import Models
from application.planning import Txt2ImgPlan, plan_txt2img
from application.ports.inference import Inference
from application.ports.options import OptionsStore
from application.prefill import prefill
from application.progress import timestamp
from application.saving import JobFiles, SaveImages
from domain.generation import Info, Txt2Img
from domain.options import Options
from domain.prompts import Style


@dataclass(frozen=True)
class Picture:
    """A picture and the text that makes it again."""

    image: Image
    infotext: str


@dataclass(frozen=True)
class Encoding:
    """How the options want pictures sent: samples_format, jpeg_quality, enable_pnginfo."""

    format: str
    quality: int
    embed: bool


@dataclass(frozen=True)
class Generated:
    """What a request produced. `request` is the request as it was understood.

    A grid comes first if `info.index_of_first_image` is 1. After an interrupt there are fewer
    pictures than asked for, perhaps none. `files` are the paths of what was saved.
    """

    pictures: tuple[Picture, ...]
    request: Txt2Img
    info: Info
    job_id: str
    encoding: Encoding
    files: tuple[str, ...] = ()


class GenerateTxt2Img:
    """Plans a request, waits for a slot, renders batch by batch, describes and saves."""

    def __init__(
        self,
        inference: Inference,
        models: Models,
        options: OptionsStore,
        jobs: JobQueue,
        saving: SaveImages,
        *,
        styles: Callable[[], Sequence[Style]],
        draw_seed: Callable[[], int],
        clock: Clock,
        version: str,
    ) -> None:
        self._inference = inference
        self._models = models
        self._options = options
        self._jobs = jobs
        self._saving = saving
        self._styles = styles
        self._draw_seed = draw_seed
        self._clock = clock
        self._version = version

    def __call__(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = None,
        abandoned: Abandoned = lambda: False,
    ) -> Generated:
        """Blocks until the pictures are there. Safe to call from many threads.

        `given` names the fields that the request's infotext may not fill; by default those that
        differ from their defaults. `abandoned` is asked between steps whether anybody still wants
        the pictures. Raises `InvalidRequest`, `NotFound`, `Unsupported`, `OptionError` for what is
        asked; `QueueFull`, `JobCancelled`; `ModelUnavailable`, `CheckpointError`, `NotANumber`;
        `ArchiveError` if pictures cannot be saved.
        """
        base = self._options.snapshot()
        request = prefill(request, base, self._styles(), self._models.list(), given)
        options = base.with_overrides(request.override_settings or {})
        checkpoint = self._models.for_request(base, options)
        # A bad request is refused at once: nothing here waits or touches the model.
        plan = plan_txt2img(request, options, checkpoint, self._styles(), self._draw_seed)
        self._saving.check(request, plan, options)
        job = Job("txt2img", self._clock, request.force_task_id, abandoned)
        with self._jobs.admit(job):
            plan = plan.using(self._models.identified(checkpoint))
            described = describe(request, plan, options, self._version)
            files = self._saving.begin(described, options, _timestamp(job))
            images = self._render(job, plan, files)
            grid = files.make_grid(images)
        return self._result(base, options, job, described, images, grid, files)

    def _render(self, job: Job, plan: Txt2ImgPlan, files: JobFiles) -> list[Image]:
        images: list[Image] = []
        count = len(plan.batches)
        for number, batch in enumerate(plan.batches):
            if job.cancelled():
                break
            text = f"Batch {number + 1} out of {count}" if count > 1 else "scripts_txt2img"
            job.begin_unit(text, units=count, done=number)
            made = self._inference.render(batch, job.observe)
            job.show(made[-1])
            files.save_batch(number, made, complete=not (job.interrupted or job.skipped))
            images += made
        return images

    def _result(
        self,
        base: Options,
        options: Options,
        job: Job,
        described: Description,
        images: list[Image],
        grid: Image | None,
        files: JobFiles,
    ) -> Generated:
        infotexts = described.infotexts[: len(images)]
        if grid is not None:  # described like the first picture
            images, infotexts = [grid, *images], (infotexts[0], *infotexts)
        info = described.info(infotexts, _timestamp(job))
        return Generated(
            pictures=tuple(Picture(*each) for each in zip(images, infotexts, strict=True)),
            request=described.request,
            info=msgspec.structs.replace(info, index_of_first_image=0 if grid is None else 1),
            job_id=job.id,
            # The request's overrides decide what is in a picture, the stored options how it is
            # sent (spec api.md 5.3; recording options/nopnginfo).
            encoding=Encoding(
                format=base.text("samples_format"),
                quality=base.integer("jpeg_quality"),
                embed=options.flag("enable_pnginfo"),
            ),
            files=tuple(files.paths),
        )


def _timestamp(job: Job) -> str:
    return timestamp(job.started_at or job.queued_at)
