"""The options registry, and the immutable snapshot that jobs read (spec api.md 13, 17)."""

from domain.options.errors import FrozenOption, UnknownOption
from domain.options.option import Option, OptionValue, Section
from domain.options.policy import WritePolicy
from domain.options.registry import REGISTRY, SECTIONS, find_option, section_of
from domain.options.snapshot import Options, known_option

__all__ = [
    "REGISTRY",
    "SECTIONS",
    "FrozenOption",
    "Option",
    "OptionValue",
    "Options",
    "Section",
    "UnknownOption",
    "WritePolicy",
    "find_option",
    "known_option",
    "section_of",
]
