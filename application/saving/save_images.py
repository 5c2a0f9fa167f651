"""Use-case: save the pictures and the grid of a job. Source: spec prompts.md 9.1, 8.2."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
from PIL.Image import Image

from hexfusion.application.describing.infotext import Description
from hexfusion.application.inpainting.finishing import FinishedPicture
from hexfusion.application.jobs.job import Clock
from hexfusion.application.pictures.grids import GridTooLarge, grid_by_options
from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.planning import JobPlan
from hexfusion.application.ports.images import ArchiveError, ImageArchive
from hexfusion.application.saving.local_time import time_formatter
from hexfusion.application.saving.named_files import PictureFiles, SaveLocation
from hexfusion.application.system.folders import check_folders
from hexfusion.domain.filenames import DEFAULT_RULES, NameFacts, NameRules
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.names import effective_scheduler

SAMPLES = SaveLocation("outdir_txt2img_samples", "samples_format", "save_to_dirs")
GRIDS = SaveLocation(
    "outdir_txt2img_grids", "grid_format", "grid_save_to_dirs", "grid", short_names=True
)
IMG2IMG_SAMPLES = replace(SAMPLES, folder="outdir_img2img_samples")
IMG2IMG_GRIDS = replace(GRIDS, folder="outdir_img2img_grids")
INIT_IMAGES = "outdir_init_images"
"""Key of the option with the folder for init images."""

BEFORE_FACES = "-before-face-restoration"
BEFORE_HIRES = "-before-highres-fix"
BEFORE_COLOURS = "-before-color-correction"

HISTORY = "params.txt"
"""File in the archive's root with the infotext of the last job."""

_log = logging.getLogger(__name__)


class SaveImages:
    """Saves the pictures of jobs, according to request and options.

    `rules` are the operator's rules for file names. Without `history`, `params.txt` is not written.
    `limits` bound the size of grids.
    """

    def __init__(
        self,
        archive: ImageArchive,
        *,
        styles: Callable[[], Sequence[Style]],
        clock: Clock,
        rules: NameRules = DEFAULT_RULES,
        history: bool = True,
        limits: JobLimits = DEFAULT_LIMITS,
    ) -> None:
        self._archive = archive
        self._files = PictureFiles(archive, rules)
        self._styles = styles
        self._format_time = time_formatter(clock)
        self._history = history
        self._limits = limits

    def check(
        self, request: AnyRequest, plan: JobPlan, options: Options, *, always: bool = False
    ) -> None:
        """Check before a job whether its pictures could be saved, if the request saves them, or
        `always`.

        Raises `InvalidRequest` naming an invalid option, `ArchiveError` naming a folder that is not
        writable.
        """
        if not (request.save_images or always):
            return
        facts = self._facts(request, plan, options, job_timestamp="")
        samples, grids = _places(request)
        if options.flag("samples_save"):
            self._files.check(samples, facts, options)
        if options.flag("grid_save"):
            self._files.check(grids, facts, options)

    def check_folders(self, options: Options, base: Options) -> None:
        """Check that a request's options name no folder outside of the archive that the stored ones
        (`base`) do not. Raises `OptionError`."""
        check_folders(self._archive, options, base)

    def begin(
        self,
        described: Description,
        options: Options,
        job_timestamp: str,
        samples: bool | None = None,
        grid: bool | None = None,
    ) -> "JobFiles":
        """Start saving the files of a job; its infotext is written to the history.

        `samples` and `grid` tell whether pictures and grid are saved; None means the request's
        `save_images`.
        """
        if self._history:
            self._remember(described.infotext(0))
        facts = self._facts(described.request, described.plan, options, job_timestamp)
        facts = msgspec.structs.replace(facts, user=described.user)
        asked = described.request.save_images
        wanted = (asked if samples is None else samples, asked if grid is None else grid)
        return JobFiles(self._files, described, options, facts, wanted, self._limits)

    def keep_init_image(self, image: Image, digest: str, options: Options) -> None:
        """Save an init image as `<digest>.png`. Raises `ArchiveError`."""
        path = "/".join(filter(None, (options.text(INIT_IMAGES), f"{digest}.png")))
        self._archive.write(path, encode_picture(image, "png"))

    def _remember(self, infotext: str) -> None:
        try:
            self._archive.write(HISTORY, infotext.encode(errors="replace"))
        except ArchiveError as error:
            _log.warning("the last prompt is not kept: %s", error)

    def _facts(
        self, request: AnyRequest, plan: JobPlan, options: Options, job_timestamp: str
    ) -> NameFacts:
        """The values of file name tokens for the job's first picture."""
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
            batch_size=plan.first.batch_size,
            n_iter=request.n_iter,
            clip_skip=options.integer("CLIP_stop_at_last_layers"),
            denoising_strength=request.denoising_strength,
            job_timestamp=job_timestamp,
            max_prompt_words=options.integer("directories_max_prompt_words"),
            format_time=self._format_time,
        )


class JobFiles:
    """Saves the files of one job. `paths` are those of the pictures so far, in order, the grid
    last; `comments` tell what was left out."""

    def __init__(
        self,
        files: PictureFiles,
        described: Description,
        options: Options,
        facts: NameFacts,
        wanted: tuple[bool, bool],
        limits: JobLimits = DEFAULT_LIMITS,
    ) -> None:
        self.paths: list[str] = []
        self.comments: list[str] = []
        self._limits = limits
        self._files = files
        self._described = described
        self._options = options
        self._facts = facts
        self._wanted, self._grid_wanted = wanted
        self._samples, self._grids = _places(described.request)

    def save(self, number: int, made: FinishedPicture, infotext: str, *, complete: bool) -> None:
        """Save the job's picture `number` (from 0), if wanted, and the intermediate pictures that
        options ask for.

        A picture that is not `complete`, because of an interrupt or skip, is saved only with option
        `save_incomplete_images`. Raises `ArchiveError`, and as `SaveImages.check` does.
        """
        options = self._options
        worthy = complete or options.flag("save_incomplete_images")
        if not (self._wanted and worthy and options.flag("samples_save")):
            return
        wanted = (
            ("before_faces", "save_images_before_face_restoration", BEFORE_FACES),
            ("before_colours", "save_images_before_color_correction", BEFORE_COLOURS),
            ("image", None, ""),
            ("mask", "save_mask", "-mask"),
            ("masked", "save_mask_composite", "-mask-composite"),
        )
        for name, option, suffix in wanted:
            if option is None or options.flag(option):
                image: Image | None = getattr(made, name)
                if image is not None:
                    self._save(number, image, infotext, suffix)

    def save_first_pass(self, number: int, image: Image, infotext: str) -> None:
        """Save picture `number` as it was before hires fix. Raises as `save` does."""
        if self._wanted and self._options.flag("samples_save"):
            self._save(number, image, infotext, BEFORE_HIRES)

    def _save(self, number: int, image: Image, infotext: str, suffix: str) -> None:
        batch, index = divmod(number, self._facts.batch_size)
        facts = msgspec.structs.replace(
            self._facts,
            seed=self._described.plan.seeds[number],
            width=image.width,
            height=image.height,
            iteration=batch,
            batch_index=index,
        )
        path = self._files.save(image, infotext, self._samples, facts, self._options, suffix)
        self.paths.append(path)

    def save_result(self, image: Image, infotext: str, seed: int) -> Sequence[str]:
        """Save a script's result picture, whatever the request says; returns its path.

        Raises as `save` does.
        """
        facts = self._of_result(image, seed)
        return [self._files.save(image, infotext, self._samples, facts, self._options)]

    def save_result_grid(
        self, image: Image, infotext: str | None, seed: int, basename: str | None = None
    ) -> Sequence[str]:
        """Save a script's grid, likewise. With a `basename` it is named like a picture."""
        place = self._grids
        if basename:
            place = replace(place, basename=basename, short_names=False)
        facts = self._of_result(image, seed)
        facts = msgspec.structs.replace(facts, batch_index=None, basename=place.basename)
        return [self._files.save(image, infotext, place, facts, self._options)]

    def _of_result(self, image: Image, seed: int) -> NameFacts:
        prompt = self._described.request.prompt
        return msgspec.structs.replace(
            self._facts, seed=seed, prompt=prompt, width=image.width, height=image.height
        )

    def make_grid(self, images: Sequence[Image], infotext: str) -> Image | None:
        """Make the job's grid, and save it if option grid_save is set.

        Returns it if option return_grid is set, else None; None too if it is too large.
        """
        options = self._options
        few = len(images) < (2 if options.flag("grid_only_if_multiple") else 1)
        saved, returned = options.flag("grid_save"), options.flag("return_grid")
        if not self._grid_wanted or few or not (saved or returned):
            return None
        try:
            grid = grid_by_options(images, self._facts.batch_size, options, self._limits)
        except GridTooLarge as error:
            _log.warning("%s", error)
            self.comments.append(str(error))
            return None
        if saved:
            facts = msgspec.structs.replace(
                self._facts,
                width=grid.width,
                height=grid.height,
                batch_index=None,
                basename=self._grids.basename,
            )
            self.paths.append(self._files.save(grid, infotext, self._grids, facts, options))
        return grid if returned else None


def _places(request: AnyRequest) -> tuple[SaveLocation, SaveLocation]:
    """(location of the pictures, location of the grid)."""
    return (IMG2IMG_SAMPLES, IMG2IMG_GRIDS) if isinstance(request, Img2Img) else (SAMPLES, GRIDS)
