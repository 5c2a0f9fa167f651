"""Use-case: a txt2img request becomes pictures. Source: spec api.md 5 and 9."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from PIL.Image import Image

from application.infotext import Description, describe
from application.infotext_extra import SAME_CHECKPOINT
from application.jobs import Abandoned, Clock, Job, JobQueue
from application.models import Models
from application.planning import ModelChoice, Txt2ImgPlan, plan_txt2img
from application.ports.inference import Inference
from application.ports.options import OptionsStore
from application.ports.upscale import Upscaler
from application.prefill import prefill
from application.progress import timestamp
from application.saving import JobFiles, SaveImages
from application.upscaling import PlainUpscaler
from application.vaes import Vaes
from domain.generation import Info, Txt2Img
from domain.infotext import Extra
from domain.options import Options
from domain.picture_lists import NO_LISTS, PictureLists
from domain.prompts import Style
from domain.upscalers import LATENT_MODES

#: What such a job is called.
KIND = "txt2img"


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
        vaes: Vaes,
        options: OptionsStore,
        jobs: JobQueue,
        saving: SaveImages,
        *,
        styles: Callable[[], Sequence[Style]],
        draw_seed: Callable[[], int],
        clock: Clock,
        version: str,
        upscaler: Upscaler | None = None,
    ) -> None:
        self._inference = inference
        self._models = models
        self._vaes = vaes
        self._options = options
        self._jobs = jobs
        self._saving = saving
        self._styles = styles
        self._draw_seed = draw_seed
        self._clock = clock
        self._version = version
        self._upscaler = upscaler or PlainUpscaler()

    def __call__(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
        abandoned: Abandoned = lambda: False,
    ) -> Generated:
        """Blocks until the pictures are there. Safe to call from many threads.

        `given` names the fields that the request's infotext may not fill; by default those that
        differ from their defaults. `lists` gives single pictures values of their own. `abandoned`
        is asked between steps whether anybody still wants the pictures.

        Raises `InvalidRequest`, `NotFound`, `Unsupported`, `OptionError` for what is asked;
        `QueueFull`, `JobCancelled`; `ModelUnavailable`, `CheckpointError`, `NotANumber`;
        `ArchiveError` if pictures cannot be saved.
        """
        make = self.prepare(request, given=given, lists=lists)
        with self._jobs.admit(Job(KIND, self._clock, request.force_task_id, abandoned)) as job:
            return make(job)

    def prepare(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
    ) -> Callable[[Job], Generated]:
        """The same in two halves: what comes back makes the pictures when its job has its turn.

        Raises, at once, what is wrong with the request; nothing here waits or touches the model.
        """
        base = self._options.snapshot()
        request = prefill(request, base, self._styles(), self._models.list(), given)
        options = base.with_overrides(request.override_settings or {})
        models = self._choose(request, base, options)
        plan = plan_txt2img(request, options, models, self._styles(), self._draw_seed, lists)
        hires = plan.first.hires
        if hires and hires.upscaler not in LATENT_MODES:
            self._upscaler.check(hires.upscaler, hires.upscaling)
        self._saving.check(request, plan, options)
        return partial(self._make, request, base, options, plan)

    def _make(
        self, request: Txt2Img, base: Options, options: Options, plan: Txt2ImgPlan, job: Job
    ) -> Generated:
        plan = plan.using(self._models.identified, lambda each: self._vaes.for_job(options, each))
        described = describe(request, plan, options, self._version)
        files = self._saving.begin(described, options, _timestamp(job))
        made = self._render(job, described, files)
        if made.images and (grid := files.make_grid(made.images, made.infotexts[0])):
            made.put_first(grid)
        return self._result(base, options, job, described, made, files)

    def _choose(self, request: Txt2Img, base: Options, options: Options) -> ModelChoice:
        """Raises `NotFound` for a refiner or hires checkpoint that matches none."""
        hires = request.hr_checkpoint_name if request.enable_hr else None
        refiner = request.refiner_checkpoint or "none"
        return ModelChoice(
            checkpoint=self._models.for_request(base, options),
            hires=self._models.closest(hires) if hires and hires != SAME_CHECKPOINT else None,
            refiner=self._models.closest(refiner) if refiner.lower() != "none" else None,
        )

    def _render(self, job: Job, described: Description, files: JobFiles) -> "_Made":
        made = _Made()
        plan = described.plan
        count = len(plan.batches)
        for number, batch in enumerate(plan.batches):
            if job.cancelled():
                break
            text = f"Batch {number + 1} out of {count}" if count > 1 else "scripts_txt2img"
            steps = [each.sampling.steps for each in batch.passes]
            job.begin_batch(text, number, count, steps)
            rendered = self._inference.render(batch, job.observe)
            pictures = rendered.pictures
            job.show(pictures)
            made.facts |= rendered.facts
            first = len(made.images)
            numbers = range(first, first + len(pictures))
            infotexts = [described.infotext(each, made.facts) for each in numbers]
            complete = not (job.interrupted or job.skipped)
            files.save_batch(number, pictures, infotexts, complete=complete)
            made.images += pictures
            made.infotexts += infotexts
        return made

    def _result(
        self,
        base: Options,
        options: Options,
        job: Job,
        described: Description,
        made: "_Made",
        files: JobFiles,
    ) -> Generated:
        info = described.info(made.infotexts, _timestamp(job), made.facts)
        pairs = zip(made.images, made.infotexts, strict=True)
        return Generated(
            pictures=tuple(Picture(*each) for each in pairs),
            request=described.request,
            info=msgspec.structs.replace(info, index_of_first_image=int(made.has_grid)),
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


@dataclass
class _Made:
    """What a job has made so far."""

    images: list[Image] = field(default_factory=list)
    infotexts: list[str] = field(default_factory=list)
    facts: dict[str, Extra] = field(default_factory=dict)
    has_grid: bool = False

    def put_first(self, grid: Image) -> None:
        """A grid is described like the first picture."""
        self.images.insert(0, grid)
        self.infotexts.insert(0, self.infotexts[0])
        self.has_grid = True


def _timestamp(job: Job) -> str:
    return timestamp(job.started_at or job.queued_at)
