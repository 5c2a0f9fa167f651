"""Use-case: the pictures of a job become files, and a grid. Source: spec prompts.md 9.1, 8.2."""

import logging
from collections.abc import Callable, Sequence

import msgspec
from PIL.Image import Image

from application.grids import background_colour, grid_by_options
from application.infotext import Description
from application.jobs import Clock
from application.local_time import time_formatter
from application.picture_files import PictureFiles, Place
from application.planning import Txt2ImgPlan
from application.ports.images import ArchiveError, ImageArchive
from domain.filenames import DEFAULT_RULES, NameFacts, NameRules
from domain.generation import Txt2Img
from domain.options import Options
from domain.prompts import Style
from domain.sampling.names import effective_scheduler

SAMPLES = Place("outdir_txt2img_samples", "samples_format", "save_to_dirs")
GRIDS = Place("outdir_txt2img_grids", "grid_format", "grid_save_to_dirs", "grid", short_names=True)

HISTORY = "params.txt"
"""Keeps the infotext of the last job, in the archive's root."""

_log = logging.getLogger(__name__)


class SaveImages:
    """Decides whether and where pictures are saved, and saves them.

    `rules` are the operator's for names. Without `history`, `params.txt` is left alone.
    """

    def __init__(
        self,
        archive: ImageArchive,
        *,
        styles: Callable[[], Sequence[Style]],
        clock: Clock,
        rules: NameRules = DEFAULT_RULES,
        history: bool = True,
    ) -> None:
        self._archive = archive
        self._files = PictureFiles(archive, rules)
        self._styles = styles
        self._format_time = time_formatter(clock)
        self._history = history

    def check(self, request: Txt2Img, plan: Txt2ImgPlan, options: Options) -> None:
        """Before any work: could the pictures be saved, if that is asked for?

        Raises `InvalidRequest` naming the option that cannot be followed, `ArchiveError` naming
        the folder that cannot be written to.
        """
        if not request.save_images:
            return
        facts = self._facts(request, plan, options, job_timestamp="")
        if options.flag("samples_save"):
            self._files.check(SAMPLES, facts, options)
        if options.flag("grid_save"):
            self._files.check(GRIDS, facts, options)
        background_colour(options)

    def begin(self, described: Description, options: Options, job_timestamp: str) -> "JobFiles":
        """The files of a job that starts now. Any job enters the history."""
        if self._history:
            self._remember(described.infotext(0))
        facts = self._facts(described.request, described.plan, options, job_timestamp)
        return JobFiles(self._files, described, options, facts)

    def _remember(self, infotext: str) -> None:
        try:
            self._archive.write(HISTORY, infotext.encode(errors="replace"))
        except ArchiveError as error:
            _log.warning("the last prompt is not kept: %s", error)

    def _facts(
        self, request: Txt2Img, plan: Txt2ImgPlan, options: Options, job_timestamp: str
    ) -> NameFacts:
        """What names say of the job's first picture."""
        styles = tuple(request.styles or ())
        texts = {style.name: style.prompt or "" for style in self._styles()} if styles else {}
        sampling = plan.sampling
        return NameFacts(
            seed=plan.seeds[0],
            all_seeds=plan.seeds,
            prompt=plan.prompts.positive[0],
            job_prompt=request.prompt,
            job_negative_prompt=request.negative_prompt,
            steps=request.steps,
            cfg_scale=request.cfg_scale,
            width=plan.width,
            height=plan.height,
            sampler=sampling.sampler.name,
            scheduler=effective_scheduler(sampling.sampler, sampling.scheduler),
            model_name=plan.checkpoint.name_for_extra,
            model_hash=plan.checkpoint.shorthash,
            vae=plan.first.vae.name if plan.first.vae else None,
            styles=styles,
            style_texts=tuple(texts.get(name, "") for name in styles),
            batch_size=request.batch_size,
            n_iter=request.n_iter,
            clip_skip=options.integer("CLIP_stop_at_last_layers"),
            denoising_strength=request.denoising_strength,
            job_timestamp=job_timestamp,
            max_prompt_words=options.integer("directories_max_prompt_words"),
            format_time=self._format_time,
        )


class JobFiles:
    """What one job saves. `paths` are the pictures so far, in order, the grid last."""

    def __init__(
        self, files: PictureFiles, described: Description, options: Options, facts: NameFacts
    ) -> None:
        self.paths: list[str] = []
        self._files = files
        self._described = described
        self._options = options
        self._facts = facts
        self._wanted = described.request.save_images

    def save_batch(
        self, batch: int, images: Sequence[Image], infotexts: Sequence[str], *, complete: bool
    ) -> None:
        """Save the pictures of a batch, counted from 0, if that is asked for.

        One that an interrupt or skip left incomplete is saved with `save_incomplete_images` only.
        Raises `ArchiveError` when the disk is full, and as `SaveImages.check` does.
        """
        options = self._options
        worthy = complete or options.flag("save_incomplete_images")
        if not (self._wanted and worthy and options.flag("samples_save")):
            return
        for index, (image, infotext) in enumerate(zip(images, infotexts, strict=True)):
            number = batch * self._facts.batch_size + index
            facts = msgspec.structs.replace(
                self._facts,
                seed=self._described.plan.seeds[number],
                width=image.width,
                height=image.height,
                iteration=batch,
                batch_index=index,
            )
            self.paths.append(self._files.save(image, infotext, SAMPLES, facts, options))

    def make_grid(self, images: Sequence[Image], infotext: str) -> Image | None:
        """The job's grid, saved if `grid_save`; None unless the result shall begin with it."""
        options = self._options
        few = len(images) < (2 if options.flag("grid_only_if_multiple") else 1)
        saved, returned = options.flag("grid_save"), options.flag("return_grid")
        if not self._wanted or few or not (saved or returned):
            return None
        grid = grid_by_options(images, self._facts.batch_size, options)
        if saved:
            facts = msgspec.structs.replace(
                self._facts,
                width=grid.width,
                height=grid.height,
                batch_index=None,
                basename=GRIDS.basename,
            )
            self.paths.append(self._files.save(grid, infotext, GRIDS, facts, options))
        return grid if returned else None
