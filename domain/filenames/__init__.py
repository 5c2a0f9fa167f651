"""Names of saved files: patterns with tokens, folders, running numbers (spec prompts.md 9)."""

from hexfusion.domain.filenames.name_facts import NameFacts
from hexfusion.domain.filenames.naming import (
    decoration,
    file_name,
    next_number,
    numbered,
    sub_folder,
)
from hexfusion.domain.filenames.pattern import expand
from hexfusion.domain.filenames.sanitising import DEFAULT_RULES, NameRules, sanitise

__all__ = [
    "DEFAULT_RULES",
    "NameFacts",
    "NameRules",
    "decoration",
    "expand",
    "file_name",
    "next_number",
    "numbered",
    "sanitise",
    "sub_folder",
]
