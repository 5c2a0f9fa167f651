"""Infotext: generation parameters as text, stored in a picture (spec prompts.md 8).

Writing: `infotext_parameters` orders the parameters, `write_infotext` formats them.
Reading: `parse_infotext` parses the text; the `overrides_*` functions extract option values.
"""

from hexfusion.domain.infotext.compatibility import SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER
from hexfusion.domain.infotext.extra_networks import (
    add_foreign_loras,
    format_hashes,
    read_hashes,
    rename_loras,
)
from hexfusion.domain.infotext.generation_facts import (
    Extra,
    GenerationFacts,
    PerImage,
    Scalar,
    info_parameters,
    infotext_parameters,
)
from hexfusion.domain.infotext.overrides import (
    OVERRIDE_LABELS,
    overrides_from_infotext,
    overrides_from_texts,
    read_override,
)
from hexfusion.domain.infotext.quoting import quote, unquote
from hexfusion.domain.infotext.reading import (
    ParameterValue,
    RawInfotext,
    parse_infotext,
    split_infotext,
)
from hexfusion.domain.infotext.writing import write_infotext

__all__ = [
    "OVERRIDE_LABELS",
    "SAME_CHECKPOINT",
    "SAME_SAMPLER",
    "SAME_SCHEDULER",
    "Extra",
    "GenerationFacts",
    "ParameterValue",
    "PerImage",
    "RawInfotext",
    "Scalar",
    "add_foreign_loras",
    "format_hashes",
    "info_parameters",
    "infotext_parameters",
    "overrides_from_infotext",
    "overrides_from_texts",
    "parse_infotext",
    "quote",
    "read_hashes",
    "read_override",
    "rename_loras",
    "split_infotext",
    "unquote",
    "write_infotext",
]
