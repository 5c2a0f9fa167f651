"""The options that interrogation reads (spec api.md 17.1)."""

import pytest

from hexfusion.domain.errors import OptionError
from hexfusion.domain.interrogation import (
    CaptionSearch,
    TagSettings,
    TermSettings,
    caption_search,
    tag_settings,
    term_settings,
)
from hexfusion.domain.options import Options


def test_defaults_are_the_references():
    assert caption_search(Options()) == CaptionSearch(beams=1, min_length=24, max_length=48)
    assert term_settings(Options()) == TermSettings(limit=1500, skip=(), ranks=False)
    assert tag_settings(Options()) == TagSettings()


@pytest.mark.parametrize(
    "options",
    [
        {"interrogate_clip_num_beams": 0},
        {"interrogate_clip_num_beams": 17},
        {"interrogate_clip_min_length": 0},
        {"interrogate_clip_max_length": 257},
        {"interrogate_clip_max_length": 23},  # below the shortest
    ],
)
def test_what_makes_no_sense_is_named(options):
    (key,) = options
    with pytest.raises(OptionError, match=key):
        Options(options)


def test_no_limit():
    assert term_settings(Options({"interrogate_clip_dict_limit": -1})).limit == 0
