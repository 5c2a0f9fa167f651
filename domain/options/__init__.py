"""The options registry, and the immutable snapshot that jobs read (spec api.md 13, 17)."""

from hexfusion.domain.options.errors import FrozenOption, UnknownOption
from hexfusion.domain.options.judging import SIZE, expected, judge_size
from hexfusion.domain.options.option import Option, OptionValue, Section
from hexfusion.domain.options.policy import WritePolicy
from hexfusion.domain.options.registry import REGISTRY, SECTIONS, find_option, section_of
from hexfusion.domain.options.snapshot import Options, known_option

__all__ = [
    "REGISTRY",
    "SECTIONS",
    "SIZE",
    "FrozenOption",
    "Option",
    "OptionValue",
    "Options",
    "Section",
    "UnknownOption",
    "WritePolicy",
    "expected",
    "find_option",
    "judge_size",
    "known_option",
    "section_of",
]
