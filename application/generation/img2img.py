"""Use-case: img2img. Source: spec api.md 6, images.md 1."""

import hashlib
from collections.abc import Collection
from functools import partial

import msgspec

from hexfusion.application.describing.extra_parameters import encoder_extra, img2img_extra
from hexfusion.application.generation.generate import Generate, Start
from hexfusion.application.generation.vae_choice import checked_vaes
from hexfusion.application.inpainting.init_pictures import InitPictures, prepare_pictures
from hexfusion.application.jobs.job import Abandoned, Job
from hexfusion.application.jobs.orders import PreparedJob
from hexfusion.application.pictures.faces import check_faces
from hexfusion.application.pictures.receiving import Source, decoded
from hexfusion.application.pictures.upscaling import upscale_by
from hexfusion.application.planning import JobPlan, plan_img2img
from hexfusion.application.planning.amounts import check_texts
from hexfusion.application.planning.prefill import prefill
from hexfusion.application.results import Generated
from hexfusion.application.scripts.always_on.reading import Effects, Given, read_always_on
from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.always_on.script import Asked
from hexfusion.application.scripts.selectable.registry import IMG2IMG
from hexfusion.application.scripts.selectable.script_run import Work
from hexfusion.application.scripts.selectable.selection import (
    prepared_script,
    script_context,
    selected_script,
)
from hexfusion.domain.field_types import check_fields
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.upscalers import upscale_settings

#: The kind of an img2img job.
KIND = "img2img"


class GenerateImg2Img(Generate):
    """Generates pictures from an img2img request and its source pictures."""

    def __call__(
        self,
        request: Img2Img,
        pictures: InitPictures,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
        abandoned: Abandoned = lambda: False,
    ) -> Generated:
        """Block until the pictures are generated. Safe to call from many threads.

        `pictures` are the source pictures and mask, decoded or not; the request's own `init_images`
        and `mask` are only echoed. Otherwise as `GenerateTxt2Img`.
        """
        make = self.prepare(request, pictures, given=given, lists=lists)
        job = Job(KIND, self._clock, request.force_task_id, abandoned, models=make.models)
        with self._jobs.admit(job):
            return make(job)

    def prepare(
        self,
        request: Img2Img,
        pictures: InitPictures,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
    ) -> PreparedJob[Generated]:
        """Check and plan the request; the result generates the pictures when its job runs.

        Raises errors in the request at once, except for pictures that are too narrow for it, and
        those whose pixels turn out to be damaged: they are decoded when the job runs.
        """
        check_fields(request, Img2Img)
        check_fields(lists, PictureLists, "lists")
        pixels = self._pixels.check((pictures.pixels,), "init_images")
        check_texts(request, self._limits)
        base = self._options.snapshot()
        request = prefill(request, base, self._styles(), self._models.list(), given)
        script = selected_script(request, IMG2IMG)
        always_on = read_always_on(request, SCRIPTS, base)
        plain = partial(self._plain, base, always_on)
        work = Work(request, pictures, lists)
        if script is None:
            made = plain(work)
            return PreparedJob(self._pixels.within(pixels, made.make), made.models, made.amount)
        context = script_context(
            work,
            self._overridden(request, base, always_on),
            self._tools,
            plain,
            self._limits,
            self._keeper,
        )
        # A script may also use other checkpoints, known only when it runs.
        models = self._choose(request, base, context.options).files
        play = prepared_script(script, context, as_echoed(request))
        return PreparedJob(self._pixels.within(pixels, play), models)

    def _plain(self, base: Options, always_on: Given, work: Work) -> PreparedJob[Generated]:
        request, pictures = work.request, work.pictures
        assert isinstance(request, Img2Img)
        assert pictures is not None, "an image-to-image request comes with pictures"
        options = self._overridden(request, base, always_on)
        request = as_echoed(request)
        models = self._choose(request, base, options)
        masked = pictures.mask is not None
        meant = as_meant(request, base)
        effects = always_on.effects(Asked(meant, options, masked=masked))
        plan = plan_img2img(
            meant,
            options,
            models,
            self._styles(),
            self._draw_seed,
            [each.size for each in pictures.images],
            masked=masked,
            lists=work.lists,
            after=work.after,
            inversion=work.inversion,
            limits=self._limits,
        )
        amount = self._with_reply(plan.amount, request, base, options, masked=masked)
        plan = effects.plan(plan)
        if upscaler := options.text("upscaler_for_img2img"):
            self._upscaler.check(upscaler, upscale_settings(options))
        if plan.faces:
            check_faces(self._faces, plan.faces.model, "restore_faces")
        plan = checked_vaes(plan, self._vaes, options)
        plan = self._networks.planned(plan, options, disabled=request.disable_extra_networks)
        self._saving.check(request, plan, options, always=work.saves)

        def make(job: Job) -> Generated:
            start = self._start(meant, options, work, plan, effects)
            return self._make(request, base, options, plan, start, job)

        return PreparedJob(make, plan.files, amount)

    def _start(
        self, request: Img2Img, options: Options, work: Work, plan: JobPlan, effects: Effects
    ) -> Start:
        pictures, init = work.pictures, plan.first.init
        assert pictures is not None and init is not None
        # An always-on script may have changed it.
        request = msgspec.structs.replace(request, mask_round=init.round_mask)
        upscaler = options.text("upscaler_for_img2img")
        upscale = upscale_by(self._upscaler, upscaler, upscale_settings(options))
        prepared = prepare_pictures(
            request, options, pictures, plan.first.batch_size, upscale, colours=work.colours
        )
        masked = pictures.mask is not None
        return Start(
            sources=prepared.sources,
            finishes=prepared.finishes,
            extra=lambda settled: {
                **effects.extra(settled),
                **img2img_extra(request, prepared.inpainting, masked=masked),
                **encoder_extra(settled),
            },
            init_hash=self._kept(pictures.images, options),
            before=work.extra,
            samples=work.samples,
            grid=work.grid,
            keeper=work.keeper,
        )

    def _kept(self, images: Collection[Source], options: Options) -> str | None:
        """If an option says so, save the source pictures by their hashes; the last one's hash."""
        digest = None
        if options.flag("save_init_img"):
            for image in map(decoded, images):
                digest = hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()
                self._saving.keep_init_image(image, digest, options)
        return digest


def as_echoed(request: Img2Img) -> Img2Img:
    """The request as returned to the client: with its pictures only if `include_init_images`."""
    if request.include_init_images:
        return request
    return msgspec.structs.replace(request, init_images=None, mask=None)


def as_meant(request: Img2Img, base: Options) -> Img2Img:
    """The request with its defaults filled in, which are not echoed.

    The noise multiplier defaults to the stored option's; the request's override of it has no
    effect, as in A1111 (spec api.md 5.3).
    """
    multiplier = request.initial_noise_multiplier
    if multiplier is None:
        multiplier = base.number("initial_noise_multiplier")
    return msgspec.structs.replace(request, initial_noise_multiplier=multiplier)
