"""Use-case: txt2img. Source: spec api.md 5."""

from collections.abc import Collection
from functools import partial

from hexfusion.application.describing.extra_parameters import hires_extra
from hexfusion.application.generation.generate import Generate, Start
from hexfusion.application.generation.vae_choice import checked_vaes
from hexfusion.application.jobs.job import Abandoned, Job
from hexfusion.application.jobs.orders import PreparedJob
from hexfusion.application.pictures.faces import check_faces
from hexfusion.application.planning import plan_txt2img
from hexfusion.application.planning.amounts import check_texts
from hexfusion.application.planning.prefill import prefill
from hexfusion.application.results import Generated
from hexfusion.application.scripts.always_on.reading import Given, read_always_on
from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.always_on.script import Asked
from hexfusion.application.scripts.selectable.registry import TXT2IMG
from hexfusion.application.scripts.selectable.script_run import Work
from hexfusion.application.scripts.selectable.selection import (
    prepared_script,
    script_context,
    selected_script,
)
from hexfusion.domain.field_types import check_fields
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.upscalers import LATENT_MODES

#: The kind of a txt2img job.
KIND = "txt2img"


class GenerateTxt2Img(Generate):
    """Generates pictures from a txt2img request."""

    def __call__(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
        abandoned: Abandoned = lambda: False,
    ) -> Generated:
        """Block until the pictures are generated. Safe to call from many threads.

        `given` names the fields that the request's infotext may not fill; by default those that
        differ from their defaults. `lists` gives single pictures values of their own. `abandoned`
        is asked between steps whether anybody still wants the pictures.

        Raises `InvalidRequest`, `NotFound`, `Unsupported`, `OptionError` for what is asked;
        `QueueFull`, `JobCancelled`; `ModelUnavailable`, `CheckpointError`, `NotANumber`;
        `ArchiveError` if pictures cannot be saved.
        """
        make = self.prepare(request, given=given, lists=lists)
        job = Job(KIND, self._clock, request.force_task_id, abandoned, models=make.models)
        with self._jobs.admit(job):
            return make(job)

    def prepare(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = None,
        lists: PictureLists = NO_LISTS,
    ) -> PreparedJob[Generated]:
        """Check and plan the request; the result generates the pictures when its job runs.

        Raises errors in the request at once. Does not wait, and loads no model.
        """
        check_fields(request, Txt2Img)
        check_fields(lists, PictureLists, "lists")
        check_texts(request, self._limits)
        base = self._options.snapshot()
        request = prefill(request, base, self._styles(), self._models.list(), given)
        script = selected_script(request, TXT2IMG)
        always_on = read_always_on(request, SCRIPTS, base)
        plain = partial(self._plain, base, always_on)
        work = Work(request, lists=lists)
        if script is None:
            return plain(work)
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
        return PreparedJob(prepared_script(script, context, request), models)

    def _plain(self, base: Options, always_on: Given, work: Work) -> PreparedJob[Generated]:
        request = work.request
        assert isinstance(request, Txt2Img)
        options = self._overridden(request, base, always_on)
        models = self._choose(request, base, options)
        effects = always_on.effects(Asked(request, options))
        plan = plan_txt2img(
            request,
            options,
            models,
            self._styles(),
            self._draw_seed,
            work.lists,
            limits=self._limits,
        )
        amount = self._with_reply(plan.amount, request, base, options, masked=False)
        plan = effects.plan(plan)
        hires = plan.first.hires
        if hires and hires.upscaler not in LATENT_MODES:
            self._upscaler.check(hires.upscaler, hires.upscaling)
        if plan.faces:
            check_faces(self._faces, plan.faces.model, "restore_faces")
        plan = checked_vaes(plan, self._vaes, options)
        plan = self._networks.planned(plan, options, disabled=request.disable_extra_networks)
        self._saving.check(request, plan, options, always=work.saves)
        start = Start(
            lambda settled: {**effects.extra(settled), **hires_extra(request, settled)},
            before=work.extra,
            samples=work.samples,
            grid=work.grid,
            keeper=work.keeper,
        )
        make = partial(self._make, request, base, options, plan, start)
        return PreparedJob(make, plan.files, amount)
