"""The options that interrogation reads. Source: spec api.md 17.1, images.md 12."""

import msgspec

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.options import Options


class CaptionSearch(msgspec.Struct, frozen=True, kw_only=True):
    """How a sentence is searched for.

    Lengths are in tokens and count those of the beginning that is given, "a picture of".
    """

    beams: int = 1
    min_length: int = 24
    max_length: int = 48


class TermSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which terms are tried: of each list the first `limit` lines, 0 for all, and none of those
    named in `skip`. `ranks`: how well a term fits is told beside it."""

    limit: int = 1500
    skip: tuple[str, ...] = ()
    ranks: bool = False


class TagSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags are told, and how. `drop` has tags as the network names them."""

    threshold: float = 0.5
    alphabetical: bool = True
    spaces: bool = True
    escape: bool = True
    ranks: bool = False
    drop: frozenset[str] = frozenset()


def caption_search(options: Options) -> CaptionSearch:
    """As the options have it. Raises `InvalidRequest` naming one that is out of its bounds."""
    shortest = _within(options, "interrogate_clip_min_length", 1, 128)
    return CaptionSearch(
        beams=_within(options, "interrogate_clip_num_beams", 1, 16),
        min_length=shortest,
        max_length=_within(options, "interrogate_clip_max_length", shortest, 256),
    )


def term_settings(options: Options) -> TermSettings:
    """As the options have it."""
    return TermSettings(
        limit=max(0, options.integer("interrogate_clip_dict_limit")),
        skip=options.texts("interrogate_clip_skip_categories"),
        ranks=options.flag("interrogate_return_ranks"),
    )


def tag_settings(options: Options) -> TagSettings:
    """As the options have it. The tags to drop are separated by commas, and may be written with
    spaces where the network has underscores."""
    names = (name.strip() for name in options.text("deepbooru_filter_tags").split(","))
    return TagSettings(
        threshold=options.number("interrogate_deepbooru_score_threshold"),
        alphabetical=options.flag("deepbooru_sort_alpha"),
        spaces=options.flag("deepbooru_use_spaces"),
        escape=options.flag("deepbooru_escape"),
        ranks=options.flag("interrogate_return_ranks"),
        drop=frozenset(name.replace(" ", "_") for name in names if name),
    )


def _within(options: Options, key: str, low: int, high: int) -> int:
    value = options.integer(key)
    if not low <= value <= high:
        raise InvalidRequest(key, f"must be from {low} to {high}, not {value}")
    return value
