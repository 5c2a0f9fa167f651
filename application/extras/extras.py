"""Use-case: enlarge and mend pictures. Source: spec api.md 12.1, images.md 10."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from PIL import Image

from hexfusion.application.extras.upscale_step import Enlarged, UpscaleStep
from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.faces import NoFaceRestorer, check_faces
from hexfusion.application.pictures.kept import PictureKeeper, keeping
from hexfusion.application.pictures.pixel_budget import PixelBudget
from hexfusion.application.pictures.receiving import Received, Sent, in_colour, receive_all
from hexfusion.application.planning.amounts import reply_bytes
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.spool import OpenSpool
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.application.results import Encoding, Picture
from hexfusion.domain.errors import JobCancelled, JobTimedOut
from hexfusion.domain.extras import (
    CODEFORMER,
    GFPGAN,
    UPSCALE,
    ExtrasRequest,
    PostprocessingStep,
    description,
    html_info,
    steps_in_order,
)
from hexfusion.domain.faces import FaceRestoration
from hexfusion.domain.field_types import check_fields
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobAmount, JobFields, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_boxes import Size
from hexfusion.domain.upscalers import upscale_settings

#: What such a job is called.
KIND = "extras"


@dataclass(frozen=True)
class Extras:
    """What became of the pictures.

    Each image has in `info` the texts it came with and, as `postprocessing`, what was done to it.
    `html_info` tells that of the last.
    """

    pictures: tuple[Picture, ...]
    html_info: str
    encoding: Encoding


class ProcessExtras:
    """Checks, waits for a slot, and decodes each picture and does each step to it.

    `pixels` bounds what the pictures of a request may have, `cache` holds enlarged pictures.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        options: OptionsStore,
        faces: FaceRestorer | None = None,
        pixels: PixelBudget | None = None,
        cache: Enlarged | None = None,
        limits: JobLimits = DEFAULT_LIMITS,
        open_spool: OpenSpool | None = None,
    ) -> None:
        self._limits = limits
        self._open_spool = open_spool
        self._upscaler = upscaler
        self._options = options
        self._faces = faces or NoFaceRestorer()
        self._pixels = pixels or PixelBudget()
        self._cache = cache or Enlarged()

    def prepare(
        self, request: ExtrasRequest, pictures: Sequence[Sent], field: str = "image"
    ) -> Callable[[Job], Extras]:
        """What comes back does the work when its job has its turn.

        Raises, at once, what is wrong with the request: `InvalidRequest` naming `field` for what
        is no picture, `NotFound` for an upscaler, `ModelUnavailable`, `Unsupported`. What comes
        back raises `InvalidRequest` for a picture whose pixels turn out to be damaged.
        """
        check_fields(request, ExtrasRequest, bounds=True)
        self._limits.check(JobAmount(pictures=len(pictures)), JobFields.all(field))
        options = self._options.snapshot()
        upscale = UpscaleStep(
            self._upscaler,
            request,
            upscale_settings(options),
            self._cache,
            options.integer("upscaling_max_images_in_cache"),
        )
        steps = steps_in_order(
            options.texts("postprocessing_operation_order"),
            options.texts("postprocessing_disable_in_extras"),
        )
        self._check(request, steps, upscale)
        received = receive_all(pictures, field)
        pixels = self._pixels.check((each.pixels for each in received), field)
        sizes = [each.size for each in received]
        if UPSCALE in steps:
            self._check_sizes(upscale.sizes(sizes), upscale.field, options)
        else:
            self._check_sizes(sizes, field, options)
        make = partial(self._make, request, received, options, steps, upscale)
        return self._pixels.within(pixels, make)

    def _check_sizes(self, sizes: Sequence[Size], field: str, options: Options) -> None:
        """Raises `InvalidRequest` for results, or a whole of them, that are too large."""
        for size in sizes:
            self._limits.check_picture(size, field)
        amount = JobAmount(pictures=len(sizes), pixels=sum(w * h for w, h in sizes))
        reply = reply_bytes(amount, options.text("samples_format"), sends=True)
        amount = msgspec.structs.replace(amount, reply=reply)
        self._limits.check(amount, JobFields.all(field))

    def _check(
        self, request: ExtrasRequest, steps: Sequence[PostprocessingStep], upscale: UpscaleStep
    ) -> None:
        if UPSCALE in steps:
            upscale.check()
        for step, field, visibility in (
            (GFPGAN, "gfpgan_visibility", request.gfpgan_visibility),
            (CODEFORMER, "codeformer_visibility", request.codeformer_visibility),
        ):
            if step in steps and visibility:
                check_faces(self._faces, step.name, field)

    def _make(
        self,
        request: ExtrasRequest,
        pictures: Sequence[Received],
        options: Options,
        steps: Sequence[PostprocessingStep],
        upscale: UpscaleStep,
        job: Job,
    ) -> Extras:
        """Raises `JobCancelled` if the only picture was skipped."""
        with keeping(PictureKeeper(self._open_spool() if self._open_spool else None)) as keeper:
            return self._made(request, pictures, options, steps, upscale, job, keeper)

    def _made(
        self,
        request: ExtrasRequest,
        pictures: Sequence[Received],
        options: Options,
        steps: Sequence[PostprocessingStep],
        upscale: UpscaleStep,
        job: Job,
        keeper: PictureKeeper,
    ) -> Extras:
        made: list[Picture] = []
        done: dict[str, object] = {}
        for number, received in enumerate(pictures):
            if job.cancelled():
                break
            job.begin_batch("", number, len(pictures))
            picture = received.decode_with_texts()
            texts = picture.info
            image, done = in_colour(picture), {}
            del picture  # it may be large
            for step in steps:
                job.text = step.name
                image = self._done(step, image, request, options, upscale, done, job)
            if job.skipped:
                continue
            image = image.copy()
            image.info = texts
            if options.flag("enable_pnginfo"):
                image.info["postprocessing"] = description(done)
            made.append(Picture(keeper.keep(image), image.info.get("parameters")))
            job.show([image])
        if pictures and not made:
            if job.timed_out:
                raise JobTimedOut(job.seconds)
            raise JobCancelled("no picture was finished")
        return Extras(tuple(made), html_info(done), _encoding(options, self._limits))

    def _done(
        self,
        step: PostprocessingStep,
        image: Image.Image,
        request: ExtrasRequest,
        options: Options,
        upscale: UpscaleStep,
        done: dict[str, object],
        job: Job,
    ) -> Image.Image:
        unload = options.flag("face_restoration_unload")
        match step.name:
            case UPSCALE.name:
                return upscale(image, done, job.advance)
            case GFPGAN.name if request.gfpgan_visibility:
                how = FaceRestoration(model=step.name, unload=unload)
                image = self._mended(image, request.gfpgan_visibility, how, done, job)
            case CODEFORMER.name if request.codeformer_visibility:
                weight = request.codeformer_weight
                how = FaceRestoration(model=step.name, weight=weight, unload=unload)
                image = self._mended(image, request.codeformer_visibility, how, done, job)
                done["CodeFormer weight"] = round(weight, 3)
        return image

    def _mended(
        self,
        image: Image.Image,
        visibility: float,
        how: FaceRestoration,
        done: dict[str, object],
        job: Job,
    ) -> Image.Image:
        """Spec images.md 10.2, except that A1111 fails on RGBA."""
        image = image.convert("RGB")
        mended = self._faces.restore(image, how, advance=job.advance)
        done[f"{how.model} visibility"] = round(visibility, 3)
        return mended if visibility == 1 else Image.blend(image, mended, visibility)


def _encoding(options: Options, limits: JobLimits) -> Encoding:
    return Encoding(
        format=options.text("samples_format"),
        quality=options.integer("jpeg_quality"),
        embed=options.flag("enable_pnginfo"),
        most=limits.reply,
    )
