"""Interrogation (picture to prompt): settings, and captions, terms and tags as text.

Source: spec images.md 12.
"""

from hexfusion.domain.interrogation.settings import (
    CaptionSearch,
    TagSettings,
    TermSettings,
    caption_search,
    tag_settings,
    term_settings,
)
from hexfusion.domain.interrogation.tags import TagScore, tag_text
from hexfusion.domain.interrogation.terms import TermList, best, term_list, with_matches

CLIP, DEEPDANBOORU = "clip", "deepdanbooru"
MODELS = (CLIP, DEEPDANBOORU)
"""The interrogators by A1111's names: a BLIP caption with CLIP terms, or DeepDanbooru tags."""

__all__ = [
    "CLIP",
    "DEEPDANBOORU",
    "MODELS",
    "CaptionSearch",
    "TagScore",
    "TagSettings",
    "TermList",
    "TermSettings",
    "best",
    "caption_search",
    "tag_settings",
    "tag_text",
    "term_list",
    "term_settings",
    "with_matches",
]
