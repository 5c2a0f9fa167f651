"""What a script knows when it is asked for, and what it works with when its job has its turn.

A script is a function that is given its arguments and a `Setting`. It raises what is wrong with
them, at once, and returns what makes the pictures on a `Stage`: like the use-cases' `prepare`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from PIL.Image import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.upscaling import upscale_by
from hexfusion.application.results import Generated, Picture
from hexfusion.application.saving.save_images import JobFiles
from hexfusion.application.scripts.selectable.tools import Tools
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import Extra
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.plan import Inversion
from hexfusion.domain.scripts import Arguments
from hexfusion.domain.scripts.arguments import FIELD
from hexfusion.domain.seeds import resolve_seed
from hexfusion.domain.upscalers import upscale_settings

#: Batches that one script may make: n_iter times a picture's tiles, at most.
MAX_BATCHES = 10_000


@dataclass(frozen=True)
class Work:
    """One generation: a request, and what is no part of one.

    `pictures` are what an image-to-image request starts from. `extra` stands in infotext before all
    that generation itself adds. `samples` and `grid` say, where they are not None, whether pictures
    are saved and a grid is made, instead of the request's `save_images`. `saves` is of a script
    that saves results of its own. `after` is the seed of the last picture made before: A1111's
    encoding of pictures goes on from there (spec sampling.md 6.7). `colours` is a picture whose
    colours are to be matched, where an option says so, instead of the one that is started from.
    `inversion` looks for the first noise.
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


Plain = Callable[[Work], Callable[[Job], Generated]]
"""Generation itself: raises, at once, what is wrong with the work."""


@dataclass(frozen=True)
class Setting:
    """What a script is asked for with. The options are the stored ones with the request's
    overrides."""

    request: AnyRequest
    options: Options
    tools: Tools
    plain: Plain
    pictures: InitPictures | None = None

    def check(self, work: Work) -> None:
        """Raises what is wrong with a work to come."""
        self.plain(work)

    def fixed(self) -> AnyRequest:
        """The request with its seeds drawn: for a script that counts on from them."""
        return msgspec.structs.replace(
            self.request,
            seed=resolve_seed(self.request.seed, self.tools.draw_seed),
            subseed=resolve_seed(self.request.subseed, self.tools.draw_seed),
        )


@dataclass(frozen=True)
class Outcome:
    """What a script made: its pictures with the texts that lie in them, a text for each for `info`,
    and the `info` of its last generation as it is to be shown."""

    pictures: Sequence[Picture]
    infotexts: Sequence[str]
    info: Info
    first: int = 0


class Stage:
    """Where a script works: everything it does belongs to one job."""

    def __init__(self, job: Job, setting: Setting) -> None:
        self._job = job
        self._setting = setting
        self._files: list[str] = []
        self._after: int | None = None
        self.last: Generated | None = None

    @property
    def stopped(self) -> bool:
        """Whether to make no more."""
        return self._job.cancelled()

    @property
    def skipped(self) -> bool:
        """Whether the generation in hand was not to be finished."""
        return self._job.skipped

    @property
    def files(self) -> tuple[str, ...]:
        """What was saved so far, by generation and by the script."""
        return tuple(self._files)

    def expect(self, batches: int) -> None:
        """Tell how many batches all generations together will have, for `/progress`.

        Raises `InvalidRequest` for more than one job may have.
        """
        check_batches(batches)
        self._job.expect(batches)

    def generate(self, work: Work, text: str | None = None) -> Generated:
        """Make pictures, as far as the job goes on. `text` says in `/progress` what is done."""
        if text is not None:
            self._job.text = text
        made = self._setting.plain(replace(work, after=self._after))(self._job)
        self._files += made.files
        self.last = made
        if count := len(pictures_of(made)):
            self._after = made.info.all_seeds[count - 1]
        return made

    def enlarge(self, picture: Image, factor: float, upscaler: str) -> Image:
        """As that upscaler does it, until the job is stopped; "None" leaves the picture as it is.

        Raises as `Upscaler.upscale`.
        """
        settings = upscale_settings(self._setting.options)
        upscale = upscale_by(
            self._setting.tools.upscaler, upscaler, settings, lambda done, of: self._job.verdict()
        )
        return picture if upscale is None else upscale(picture, factor)

    def words(self, picture: Image, model: str) -> str:
        """What that model says the picture (RGB) shows. Raises as it does."""
        tools = self._setting.tools
        assert tools.words is not None
        return tools.words(
            picture, model, self._setting.options, lambda done, of: self._job.verdict()
        )

    def save(self, picture: Image, infotext: str, *, seed: int) -> None:
        """Save a result of the script's own if the option `samples_save` says so, whatever the
        request says (spec api.md 8). There has been a generation. Raises `ArchiveError`."""
        if self._setting.options.flag("samples_save"):
            self._files += self._saver.save_result(picture, infotext, seed)

    def save_grid(
        self, picture: Image, infotext: str | None, *, seed: int, basename: str | None = None
    ) -> None:
        """The same for a grid, and option `grid_save`. One with a `basename` of its own is named by
        the pattern of pictures."""
        if self._setting.options.flag("grid_save"):
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
    ) -> Outcome:
        """The usual one: `info` is of the last generation, without its subseed, with `changes`."""
        assert self.last is not None
        info = msgspec.structs.replace(self.last.info, **{"subseed": -1, **changes})
        return Outcome(pictures, infotexts, info, first)


def check_batches(batches: int) -> None:
    """Raises `InvalidRequest` for more than one job may have."""
    if batches > MAX_BATCHES:
        message = f"would make {batches} batches, and one job may make {MAX_BATCHES}"
        raise InvalidRequest(FIELD, message)


def first_infotext(made: Generated) -> str:
    """Of a generation that may have been stopped before it made anything."""
    return made.info.infotexts[0] if made.info.infotexts else made.infotext


def pictures_of(made: Generated) -> list[Picture]:
    """The pictures, without a grid or masks."""
    images = [each for each in made.pictures if each.infotext is not None]
    return images[made.info.index_of_first_image :]


Play = Callable[[Stage], Outcome]
"""A script that knows everything and waits for its job's turn."""


@dataclass(frozen=True)
class Selectable:
    """A script that a request may select."""

    title: str
    arguments: type[Arguments]
    prepare: Callable[[Any, Setting], Play]
