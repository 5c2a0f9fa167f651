"""The options that interrogation reads. Source: spec api.md 17.1, images.md 12."""

import msgspec

from hexfusion.domain.options import Options


class CaptionSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Beam search settings of the captioner.

    Lengths are in tokens, including those of the prefix "a picture of".
    """

    beams: int = 1
    min_length: int = 24
    max_length: int = 48


class TermSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which terms are compared with a picture: the first `limit` lines of each list (0: all),
    without the categories in `skip`. With `ranks` each term is written with its probability."""

    limit: int = 1500
    skip: tuple[str, ...] = ()
    ranks: bool = False


class TagSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags are written, and how.

    Tags below the probability `threshold`, 0 to 1, are left out, as are those in `drop` (named as
    the network names them). `alphabetical` sorts by name instead of probability, `spaces` replaces
    underscores, `escape` escapes brackets, `ranks` adds the probability.
    """

    threshold: float = 0.5
    alphabetical: bool = True
    spaces: bool = True
    escape: bool = True
    ranks: bool = False
    drop: frozenset[str] = frozenset()


def caption_search(options: Options) -> CaptionSearch:
    """Read the settings from the options."""
    return CaptionSearch(
        beams=options.integer("interrogate_clip_num_beams"),
        min_length=options.integer("interrogate_clip_min_length"),
        max_length=options.integer("interrogate_clip_max_length"),
    )


def term_settings(options: Options) -> TermSettings:
    """Read the settings from the options."""
    return TermSettings(
        limit=options.integer("interrogate_clip_dict_limit"),
        skip=options.texts("interrogate_clip_skip_categories"),
        ranks=options.flag("interrogate_return_ranks"),
    )


def tag_settings(options: Options) -> TagSettings:
    """Read the settings from the options. The tags to drop are separated by commas, and may have
    spaces where the network's tags have underscores."""
    names = (name.strip() for name in options.text("deepbooru_filter_tags").split(","))
    return TagSettings(
        threshold=options.number("interrogate_deepbooru_score_threshold"),
        alphabetical=options.flag("deepbooru_sort_alpha"),
        spaces=options.flag("deepbooru_use_spaces"),
        escape=options.flag("deepbooru_escape"),
        ranks=options.flag("interrogate_return_ranks"),
        drop=frozenset(name.replace(" ", "_") for name in names if name),
    )
