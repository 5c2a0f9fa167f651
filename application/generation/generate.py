"""`Generate`: renders a planned job, for txt2img and img2img. Source: spec api.md 5 and 9."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from PIL.Image import Image

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.describing.extra_parameters import vae_facts
from hexfusion.application.describing.infotext import Description, describe
from hexfusion.application.generation.extra_networks import ExtraNetworks, NoNetworks, comments_of
from hexfusion.application.inpainting.finishing import FinishedPicture, PictureFinisher
from hexfusion.application.jobs.job import Clock, Job
from hexfusion.application.jobs.progress import timestamp
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.pictures.captions import OpenFont
from hexfusion.application.pictures.faces import NoFaceRestorer, restored
from hexfusion.application.pictures.kept import Fetched, PictureKeeper, keeping
from hexfusion.application.pictures.pixel_budget import PixelBudget
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.planning import JobPlan, ModelChoice
from hexfusion.application.planning.amounts import reply_bytes
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.inference import Inference, Rendered, Sources
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.spool import OpenSpool
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.application.results import Encoding, Generated, Picture, in_time
from hexfusion.application.saving.save_images import JobFiles, SaveImages
from hexfusion.application.scripts.always_on.reading import Given
from hexfusion.application.scripts.selectable.script_tools import (
    MatchedNoise,
    ScriptTools,
    Words,
    built_in_font,
    no_noise,
)
from hexfusion.application.system.options import UnusedOptions
from hexfusion.domain.errors import timed_out
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import SAME_CHECKPOINT, Extra
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobAmount, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.plan import Plan
from hexfusion.domain.prompts import Style


@dataclass(frozen=True)
class Start:
    """What a job has besides its plan.

    `extra` returns infotext entries from the final plan. An img2img job has `sources`, `finishes`
    (postprocessing of each picture of a batch) and `init_hash`. For a script, `before` are entries
    that come first, and `samples` and `grid` override the request's `save_images`, and `keeper` is
    what keeps all of its pictures.
    """

    extra: Callable[[JobPlan], Mapping[str, Extra]]

    sources: Sources | None = None
    finishes: Sequence[PictureFinisher] = ()
    init_hash: str | None = None
    before: Mapping[str, Extra] = field(default_factory=dict)
    samples: bool | None = None
    grid: bool | None = None
    keeper: PictureKeeper | None = None

    def sources_of(self, batch: Plan) -> Sources | None:
        """The source pictures of this batch; the last batch may have fewer."""
        if self.sources is None or len(self.sources.pictures) == batch.batch_size:
            return self.sources
        return replace(self.sources, pictures=self.sources.pictures[: batch.batch_size])

    def finish(self, rendered: Rendered, plan: JobPlan) -> list[FinishedPicture]:
        """The pictures of a batch after postprocessing."""
        if not self.finishes:
            return [FinishedPicture(each) for each in rendered.pictures]
        finishes = self.finishes[: len(rendered.pictures)]
        if rendered.changed:
            pairs = zip(finishes, rendered.changed, strict=True)
            size = plan.width, plan.height
            finishes = [finish.revealing(changed, size) for finish, changed in pairs]
        pairs = zip(finishes, rendered.pictures, strict=True)
        return [finish(picture) for finish, picture in pairs]


class Generate:
    """The base of `GenerateTxt2Img` and `GenerateImg2Img`: renders, describes and saves a plan."""

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
        networks: ExtraNetworks | None = None,
        open_font: OpenFont = built_in_font,
        matched_noise: MatchedNoise = no_noise,
        words: Words | None = None,
        faces: FaceRestorer | None = None,
        unused: UnusedOptions | None = None,
        pixels: PixelBudget | None = None,
        limits: JobLimits = DEFAULT_LIMITS,
        open_spool: OpenSpool | None = None,
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
        self._networks = networks or ExtraNetworks(NoNetworks())
        self._tools = ScriptTools(
            self._upscaler, draw_seed, models.closest, open_font, matched_noise, words
        )
        self._faces = faces or NoFaceRestorer()
        self._unused = unused or UnusedOptions()
        self._pixels = pixels or PixelBudget()
        self._limits = limits
        self._open_spool = open_spool

    def _keeper(self) -> PictureKeeper:
        """What keeps the pictures of one job; without a spool all of them stay in memory."""
        return PictureKeeper(self._open_spool() if self._open_spool else None)

    def _with_reply(
        self, amount: JobAmount, request: AnyRequest, base: Options, options: Options, masked: bool
    ) -> JobAmount:
        """The amount with its reply added. Raises `InvalidRequest` for a reply that is too large.

        `masked`: masks are sent with the pictures, if options say so.
        """
        masks = [options.flag(key) for key in ("return_mask", "return_mask_composite") if masked]
        size = reply_bytes(
            amount, base.text("samples_format"), sends=request.send_images, masks=sum(masks)
        )
        amount = msgspec.structs.replace(amount, reply=size)
        self._limits.check(amount)
        return amount

    def _overridden(self, request: AnyRequest, base: Options, always_on: Given) -> Options:
        """The stored options `base` with the request's overrides.

        Raises `InvalidRequest`, `OptionError`.
        """
        overrides = {**always_on.overrides(), **(request.override_settings or {})}
        options = base.with_overrides(overrides)
        self._saving.check_folders(options, base)
        self._unused(options, overrides)
        return options

    def _choose(self, request: AnyRequest, base: Options, options: Options) -> ModelChoice:
        """The request's checkpoints. Raises `NotFound` for an unknown refiner or hires one."""
        hires = None
        if isinstance(request, Txt2Img) and request.enable_hr:
            hires = request.hr_checkpoint_name
        refiner = request.refiner_checkpoint or "none"
        return ModelChoice(
            checkpoint=self._models.for_request(base, options),
            hires=self._models.closest(hires) if hires and hires != SAME_CHECKPOINT else None,
            refiner=self._models.closest(refiner) if refiner.lower() != "none" else None,
        )

    def _make(
        self,
        request: AnyRequest,
        base: Options,
        options: Options,
        plan: JobPlan,
        start: Start,
        job: Job,
    ) -> Generated:
        """`base` are the stored options, `options` those with the request's overrides."""
        if start.keeper is not None:
            return self._pictures(request, base, options, plan, start, job, start.keeper)
        with keeping(self._keeper()) as keeper:
            made = self._pictures(request, base, options, plan, start, job, keeper)
            return in_time(made, job)

    def _pictures(
        self,
        request: AnyRequest,
        base: Options,
        options: Options,
        plan: JobPlan,
        start: Start,
        job: Job,
        keeper: PictureKeeper,
    ) -> Generated:
        plan = plan.using(self._models.identified, lambda each: self._vaes.for_job(options, each))
        plan = self._networks.identified(plan)
        described = describe(
            request,
            plan,
            options,
            self._version,
            start.extra(plan),
            start.init_hash,
            job.owner,
            before=start.before,
        )
        wanted = start.samples, start.grid
        files = self._saving.begin(described, options, _timestamp(job), *wanted)
        made = self._render(job, described, files, start, keeper)
        if made.pictures:
            images = Fetched([each.kept for each in made.pictures])
            if grid := files.make_grid(images, made.infotexts[0]):
                made.put_first(grid)
        return self._result(base, options, job, described, made, files)

    def _render(
        self,
        job: Job,
        described: Description,
        files: JobFiles,
        start: Start,
        keeper: PictureKeeper,
    ) -> "_Made":
        made = _Made(keeper)
        plan, options = described.plan, described.options
        count = len(plan.batches)
        for number, batch in enumerate(plan.batches):
            if job.cancelled():
                break
            one = job.text or f"scripts_{job.kind}"  # a script has a text of its own
            text = f"Batch {number + 1} out of {count}" if count > 1 else one
            job.begin_batch(text, number, count, batch.pass_steps)
            rendered = self._inference.render(batch, job.observe, start.sources_of(batch))
            made.facts |= {**rendered.facts, **self._networks.facts(batch, rendered, options)}
            made.facts |= vae_facts(batch)
            made.comments |= dict.fromkeys(comments_of(batch, rendered))
            complete = not (job.interrupted or job.skipped)
            finished = self._finished(rendered, batch, plan, start, job)
            job.show([each.image for each in finished])
            for index, first in enumerate(rendered.first_pass, start=made.count):
                files.save_first_pass(index, first, described.infotext(index, made.facts))
            for picture in finished:
                index = made.count
                infotext = described.infotext(index, made.facts)
                files.save(index, picture, infotext, complete=complete)
                made.add(picture, infotext, options)
        return made

    def _finished(
        self, rendered: Rendered, batch: Plan, plan: JobPlan, start: Start, job: Job
    ) -> list[FinishedPicture]:
        """Postprocess a batch; faces are restored first (spec images.md 7.2)."""
        if plan.faces is None:
            return start.finish(rendered, plan)
        made, seeds = rendered.pictures, batch.noise.seeds
        mended = restored(self._faces, plan.faces, made, seeds, job)
        finished = start.finish(replace(rendered, pictures=mended), plan)
        pairs = zip(finished, made, strict=True)
        return [replace(each, before_faces=before) for each, before in pairs]

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
        comments = [*made.comments, *files.comments]
        if job.timed_out:
            comments.append(timed_out(job.seconds))
        if comments:
            info = msgspec.structs.replace(info, comments=comments)
        return Generated(
            pictures=tuple(made.pictures),
            request=described.request,
            info=msgspec.structs.replace(info, index_of_first_image=int(made.has_grid)),
            job_id=job.id,
            # The request's overrides decide what is in a picture, the stored options how it is
            # sent (spec api.md 5.3; recording options/nopnginfo).
            encoding=Encoding(
                format=base.text("samples_format"),
                quality=base.integer("jpeg_quality"),
                embed=options.flag("enable_pnginfo"),
                most=self._limits.reply,
            ),
            files=tuple(files.paths),
            infotext=described.infotext(0, made.facts),
            saver=files,
        )


@dataclass
class _Made:
    """The results of a job so far: pictures, each followed by its masks, and their infotexts."""

    keeper: PictureKeeper
    pictures: list[Picture] = field(default_factory=list)
    infotexts: list[str] = field(default_factory=list)
    facts: dict[str, Extra] = field(default_factory=dict)
    comments: dict[str, None] = field(default_factory=dict)
    has_grid: bool = False

    @property
    def count(self) -> int:
        """How many pictures there are, without masks."""
        return len(self.infotexts)

    def add(self, picture: FinishedPicture, infotext: str, options: Options) -> None:
        self.pictures.append(self._kept(picture.image, infotext))
        self.infotexts.append(infotext)
        if options.flag("return_mask") and (mask := picture.mask):
            self.pictures.append(self._kept(mask, None))
        if options.flag("return_mask_composite") and (masked := picture.masked):
            self.pictures.append(self._kept(masked, None))

    def put_first(self, grid: Image) -> None:
        """Insert a grid, with the first picture's infotext."""
        self.pictures.insert(0, self._kept(grid, self.infotexts[0]))
        self.infotexts.insert(0, self.infotexts[0])
        self.has_grid = True

    def _kept(self, image: Image, infotext: str | None) -> Picture:
        return Picture(self.keeper.keep(image), infotext)


def _timestamp(job: Job) -> str:
    return timestamp(job.started_at or job.queued_at)
