"""Infotext: the text in a picture that tells how it was made (spec prompts.md 8).

Writing: `infotext_parameters` puts the facts in order, `write_infotext` makes the text.
"""

from domain.infotext.facts import (
    Extra,
    GenerationFacts,
    PerImage,
    Scalar,
    info_parameters,
    infotext_parameters,
)
from domain.infotext.quoting import quote, unquote
from domain.infotext.writing import write_infotext

__all__ = [
    "Extra",
    "GenerationFacts",
    "PerImage",
    "Scalar",
    "info_parameters",
    "infotext_parameters",
    "quote",
    "unquote",
    "write_infotext",
]
