"""Use-case: a txt2img request becomes pictures. Source: spec api.md 5 and 9."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL.Image import Image

from application.infotext import Description, describe
from application.jobs import Abandoned, Clock, Job, JobQueue
from application.models import Models
from application.planning import Txt2ImgPlan, plan_txt2img
from application.ports.inference import Inference
from application.ports.options import OptionsStore
from application.progress import timestamp
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

    After an interrupt there are fewer pictures than asked for, perhaps none.
    """

    pictures: tuple[Picture, ...]
    request: Txt2Img
    info: Info
    job_id: str
    encoding: Encoding


class GenerateTxt2Img:
    """Plans a request, waits for a slot, renders batch by batch, describes each picture."""

    def __init__(
        self,
        inference: Inference,
        models: Models,
        options: OptionsStore,
        jobs: JobQueue,
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
        self._styles = styles
        self._draw_seed = draw_seed
        self._clock = clock
        self._version = version

    def __call__(self, request: Txt2Img, *, abandoned: Abandoned = lambda: False) -> Generated:
        """Blocks until the pictures are there. Safe to call from many threads.

        `abandoned` is asked between steps whether anybody still wants them. Raises
        `InvalidRequest`, `NotFound`, `Unsupported`, `OptionError` for what is asked;
        `QueueFull`, `JobCancelled`; `ModelUnavailable`, `CheckpointError`, `NotANumber`.
        """
        base = self._options.snapshot()
        options = base.with_overrides(request.override_settings or {})
        checkpoint = self._models.for_request(base, options)
        # A bad request is refused at once: nothing here waits or touches the model.
        plan = plan_txt2img(request, options, checkpoint, self._styles(), self._draw_seed)
        job = Job("txt2img", self._clock, request.force_task_id, abandoned)
        with self._jobs.admit(job):
            plan = plan.using(self._models.identified(checkpoint))
            images = self._render(job, plan)
            described = describe(request, plan, options, self._version)
        return self._result(request, base, job, described, images)

    def _render(self, job: Job, plan: Txt2ImgPlan) -> list[Image]:
        images: list[Image] = []
        count = len(plan.batches)
        for number, batch in enumerate(plan.batches):
            if job.cancelled():
                break
            text = f"Batch {number + 1} out of {count}" if count > 1 else "scripts_txt2img"
            job.begin_unit(text, units=count, done=number)
            images += self._inference.render(batch, job.observe)
            job.show(images[-1])
        return images

    def _result(
        self,
        request: Txt2Img,
        base: Options,
        job: Job,
        described: Description,
        images: list[Image],
    ) -> Generated:
        infotexts = described.infotexts[: len(images)]
        return Generated(
            pictures=tuple(Picture(*each) for each in zip(images, infotexts, strict=True)),
            request=request,
            info=described.info(infotexts, timestamp(job.started_at or job.queued_at)),
            job_id=job.id,
            # The response follows the stored options, not the request's overrides (api.md 5.3).
            encoding=Encoding(
                format=base.text("samples_format"),
                quality=base.integer("jpeg_quality"),
                embed=base.flag("enable_pnginfo"),
            ),
        )
