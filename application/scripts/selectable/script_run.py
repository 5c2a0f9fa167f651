"""The interface of selectable scripts: `ScriptContext` to prepare, `ScriptRun` to generate.

A script is a function of its arguments and a `ScriptContext`. It raises errors in them at once, and
returns a function that makes the pictures with a `ScriptRun` when its job runs.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from PIL.Image import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.orders import PreparedJob
from hexfusion.application.pictures.grids import GridTooLarge
from hexfusion.application.pictures.kept import PictureKeeper, keeping
from hexfusion.application.pictures.upscaling import upscale_by
from hexfusion.application.results import Generated, Picture
from hexfusion.application.saving.save_images import JobFiles
from hexfusion.application.scripts.selectable.script_tools import ScriptTools
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import Extra
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobAmount, JobFields, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_boxes import Size
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.plan import Inversion
from hexfusion.domain.scripts import Arguments
from hexfusion.domain.scripts.arguments import FIELD
from hexfusion.domain.seeds import resolve_seed
from hexfusion.domain.upscalers import upscale_settings

log = logging.getLogger(__name__)

#: Batches that one script may make at most, such as n_iter times a picture's tiles.
MAX_BATCHES = 10_000


@dataclass(frozen=True)
class Work:
    """One generation: a request, and what scripts add to it.

    `pictures` are those of an img2img request. `extra` are infotext entries that come before all
    others. `samples` and `grid`, if not None, say whether pictures are saved and a grid is made,
    instead of the request's `save_images`. `saves`: the script saves results of its own. `after` is
    the seed of the picture generated before, which seeds the encoding of pictures as in A1111 (spec
    sampling.md 6.7). `colours` is the picture for colour correction, instead of the first one.
    `inversion`, if given, finds the first noise. `keeper` keeps the pictures of the whole job.
    """

    request: AnyRequest
    pictures: InitPictures | None = None
    lists: PictureLists = NO_LISTS
    extra: Mapping[str, Extra] = field(default_factory=dict)
    samples: bool | None = None
    grid: bool | None = None
    saves: bool = False
    after: int | None = None
    colours: Image | None = None
    inversion: Inversion | None = None
    keeper: PictureKeeper | None = None


PlainGeneration = Callable[[Work], PreparedJob[Generated]]
"""Generation without a script: raises errors in the work at once, and returns the rest."""


@dataclass(frozen=True)
class ScriptContext:
    """What a script is prepared with.

    `options` are the stored ones with the request's overrides, `plain` generates without a script,
    `pictures` are those of an img2img request. `limits` bound the whole job, whose pictures a
    keeper from `new_keeper` keeps.
    """

    request: AnyRequest
    options: Options
    tools: ScriptTools
    plain: PlainGeneration
    pictures: InitPictures | None = None
    limits: JobLimits = DEFAULT_LIMITS
    new_keeper: Callable[[], PictureKeeper] = PictureKeeper

    def check(self, work: Work) -> JobAmount:
        """What generating `work` amounts to; raises the errors that it would raise later."""
        return self.plain(work).amount

    def check_amount(self, amount: JobAmount) -> None:
        """Raises `InvalidRequest` if the script's whole job amounts to too much."""
        self.limits.check(amount, JobFields.all(FIELD))

    def composed(self, one: JobAmount, *, generations: int, count: int, size: Size) -> JobAmount:
        """The amount of `count` pictures of `size` (width, height), composed from generations.

        `one` is the amount of one generation, whose own pictures are not kept. Raises
        `InvalidRequest` for too much.
        """
        self.limits.check_picture(size, FIELD)
        made = one.pixels or 1
        pixels = count * size[0] * size[1]
        amount = JobAmount(
            pictures=count,
            pixels=pixels,
            steps=one.steps * generations,
            text=one.text * count,
            reply=one.reply * pixels // made,
        )
        self.check_amount(amount)
        return amount

    def fixed(self) -> AnyRequest:
        """The request with random seeds drawn, for a script that counts up from them."""
        return msgspec.structs.replace(
            self.request,
            seed=resolve_seed(self.request.seed, self.tools.draw_seed),
            subseed=resolve_seed(self.request.subseed, self.tools.draw_seed),
        )


@dataclass(frozen=True)
class ScriptOutcome:
    """The result of a script.

    `pictures` have the infotexts to embed in them, `infotexts` are those for `info`, one for each.
    `first` is the index of the first picture that is not a grid.
    """

    pictures: Sequence[Picture]
    infotexts: Sequence[str]
    info: Info
    first: int = 0


class ScriptRun:
    """The run of a script in one job: generates, upscales, saves, and reports progress."""

    def __init__(self, job: Job, context: ScriptContext) -> None:
        self._job = job
        self._context = context
        self._files: list[str] = []
        self._keeper = context.new_keeper()
        self.comments: list[str] = []
        self._after: int | None = None
        self.last: Generated | None = None

    @property
    def stopped(self) -> bool:
        """Whether the job was interrupted or cancelled."""
        return self._job.cancelled()

    @property
    def skipped(self) -> bool:
        """Whether the current generation was skipped."""
        return self._job.skipped

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files saved so far, by generation and by the script."""
        return tuple(self._files)

    def expect(self, batches: int) -> None:
        """Set the number of batches of all generations together, for `/progress`.

        Raises `InvalidRequest` for more than `MAX_BATCHES`.
        """
        check_batches(batches)
        self._job.expect(batches)

    def generate(self, work: Work, text: str | None = None) -> Generated:
        """Generate pictures, until the job is stopped. `text` is shown in `/progress`."""
        if text is not None:
            self._job.text = text
        work = replace(work, after=self._after, keeper=self._keeper)
        made = self._context.plain(work)(self._job)
        self._files += made.files
        self.last = made
        if count := len(pictures_of(made)):
            self._after = made.info.all_seeds[count - 1]
        return made

    def keep(self, picture: Image, infotext: str | None = None) -> Picture:
        """A result of the script, which is kept as generated pictures are. Raises `SpoolError`."""
        return Picture(self._keeper.keep(picture), infotext)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A block that is the whole run: if it fails, what was kept is given up."""
        with keeping(self._keeper):
            yield

    def left_out(self, error: GridTooLarge) -> None:
        """Tell in `info` and in the log that there is no grid."""
        log.warning("%s", error)
        self.comments.append(str(error))

    def enlarge(self, picture: Image, factor: float, upscaler: str) -> Image:
        """Upscale a picture by `factor`; the upscaler "None" returns it unchanged.

        Stops with the job. Raises as `Upscaler.upscale`.
        """
        settings = upscale_settings(self._context.options)
        upscale = upscale_by(
            self._context.tools.upscaler, upscaler, settings, lambda done, of: self._job.verdict()
        )
        return picture if upscale is None else upscale(picture, factor)

    def words(self, picture: Image, model: str) -> str:
        """A caption or tags of the RGB picture by `model`. Raises as `Interrogator`'s methods."""
        tools = self._context.tools
        assert tools.words is not None
        return tools.words(
            picture, model, self._context.options, lambda done, of: self._job.verdict()
        )

    def save(self, picture: Image, infotext: str, *, seed: int) -> None:
        """Save a result of the script if option `samples_save` is on, whatever the request says.

        Call it after a generation (spec api.md 8). Raises `ArchiveError`.
        """
        if self._context.options.flag("samples_save"):
            self._files += self._saver.save_result(picture, infotext, seed)

    def save_grid(
        self, picture: Image, infotext: str | None, *, seed: int, basename: str | None = None
    ) -> None:
        """`save` for a grid, by option `grid_save`. With a `basename`, the file name follows the
        pattern of pictures."""
        if self._context.options.flag("grid_save"):
            self._files += self._saver.save_result_grid(picture, infotext, seed, basename)

    @property
    def _saver(self) -> JobFiles:
        assert self.last is not None
        assert self.last.saver is not None
        return self.last.saver

    def outcome(
        self,
        pictures: Sequence[Picture],
        infotexts: Sequence[str],
        *,
        first: int = 0,
        **changes: Any,
    ) -> ScriptOutcome:
        """A `ScriptOutcome` with the last generation's `info`, subseed -1 and `changes`."""
        assert self.last is not None
        info = msgspec.structs.replace(self.last.info, **{"subseed": -1, **changes})
        return ScriptOutcome(pictures, infotexts, info, first)


def check_batches(batches: int) -> None:
    """Raises `InvalidRequest` for more than `MAX_BATCHES`."""
    if batches > MAX_BATCHES:
        message = f"would make {batches} batches, and one job may make {MAX_BATCHES}"
        raise InvalidRequest(FIELD, message)


def first_infotext(made: Generated) -> str:
    """The first picture's infotext, also if generation was stopped before any picture."""
    return made.info.infotexts[0] if made.info.infotexts else made.infotext


def pictures_of(made: Generated) -> list[Picture]:
    """The generated pictures, without grids and masks."""
    images = [each for each in made.pictures if each.infotext is not None]
    return images[made.info.index_of_first_image :]


PlayScript = Callable[[ScriptRun], ScriptOutcome]
"""A prepared script, called when its job runs."""


@dataclass(frozen=True)
class Selectable:
    """A script that a request can select by `title`; `prepare(arguments, context)` prepares it."""

    title: str
    arguments: type[Arguments]
    prepare: Callable[[Any, ScriptContext], PlayScript]
