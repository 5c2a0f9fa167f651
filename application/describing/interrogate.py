"""Use-case: interrogation (a caption, or tags, for a picture).

Source: spec api.md 12.3, images.md 12.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

from PIL.Image import Image

from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.pixel_budget import PixelBudget
from hexfusion.application.pictures.receiving import Received, Sent, in_colour
from hexfusion.application.pictures.upscaling import Stoppable
from hexfusion.application.ports.interrogate import Interrogator
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.terms import TermStore
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import HexfusionError, ModelUnavailable, NotFound
from hexfusion.domain.interrogation import (
    DEEPDANBOORU,
    MODELS,
    CaptionSearch,
    TagScore,
    TermList,
    best,
    caption_search,
    tag_settings,
    tag_text,
    term_list,
    term_settings,
    with_matches,
)
from hexfusion.domain.options import Options

#: The kind of these jobs.
KIND = "interrogate"
#: Ends a caption that could not be completed.
ERROR = "<error>"

log = logging.getLogger("hexfusion.interrogate")


class Interrogate:
    """Validates interrogation requests and describes the pictures in jobs."""

    def __init__(
        self,
        interrogator: Interrogator,
        terms: TermStore,
        options: OptionsStore,
        pixels: PixelBudget | None = None,
    ) -> None:
        self._interrogator = interrogator
        self._terms = terms
        self._options = options
        self._pixels = pixels or PixelBudget()

    def prepare(self, model: str, picture: Sent) -> Callable[[Job], str]:
        """Validate; returns a function that decodes the picture and does the work of a job.

        The options are read now. Raises `NotFound("model", ...)`, and `InvalidRequest` naming the
        picture or an option; the returned function raises what `words` raises, and
        `InvalidRequest` for a picture whose pixels turn out to be damaged.
        """
        if model not in MODELS:
            raise NotFound("model", model)
        options = self._options.snapshot()
        caption_search(options)
        received = Received(picture)
        pixels = self._pixels.check((received.pixels,), received.field)

        def make(job: Job) -> str:
            job.begin_batch("", 0, 1)
            image = in_colour(received.decode()).convert("RGB")
            return self.words(image, model, options, job.advance)

        return self._pixels.within(pixels, make)

    def words(self, image: Image, model: str, options: Options, advance: Advance) -> str:
        """The caption and terms ("clip") or the tags ("deepdanbooru") for an RGB picture.

        "clip" raises nothing: on an error the text so far ends in `ERROR`, and the error is logged.
        "deepdanbooru" raises as `Interrogator.tags` does.
        """
        try:
            if model == DEEPDANBOORU:
                return tag_text(self._interrogator.tags(image, advance), tag_settings(options))
            return self._described(image, options, advance)
        finally:
            if not options.flag("interrogate_keep_models_in_memory"):
                self._interrogator.release()

    def _described(self, image: Image, options: Options, advance: Advance) -> str:
        text, ranks = "", options.flag("interrogate_return_ranks")
        heard = Stoppable(advance)
        try:
            text = self._interrogator.caption(image, caption_search(options), heard)
            lists = self._lists(options)
            if lists and not heard.stopped:
                ranked = self._interrogator.rank(image, [each.terms for each in lists], heard)
                for each, probabilities in zip(lists, ranked, strict=False):  # fewer, if stopped
                    text = with_matches(text, best(each, probabilities), ranks=ranks)
        except Exception as error:
            trace = None if isinstance(error, HexfusionError) else error
            log.error("the picture could not be described: %s", error, exc_info=trace)
            return text + ERROR
        return text

    def _lists(self, options: Options) -> list[TermList]:
        settings = term_settings(options)
        read = (term_list(*named, settings) for named in self._terms.terms().items())
        return [each for each in read if each and each.terms]


class NoInterrogator:
    """An `Interrogator` for backends without interrogation: raises `ModelUnavailable`."""

    def caption(self, picture: Image, search: CaptionSearch, advance: Advance = go_on) -> str:
        """See `Interrogator.caption`."""
        raise ModelUnavailable("this backend finds no words for pictures")

    def rank(
        self, picture: Image, lists: Sequence[Sequence[str]], advance: Advance = go_on
    ) -> Iterator[Sequence[float]]:
        """See `Interrogator.rank`."""
        raise ModelUnavailable("this backend finds no words for pictures")

    def tags(self, picture: Image, advance: Advance = go_on) -> Sequence[TagScore]:
        """See `Interrogator.tags`."""
        raise ModelUnavailable("this backend finds no words for pictures")

    def release(self) -> None:
        """See `Interrogator.release`: it holds nothing."""
