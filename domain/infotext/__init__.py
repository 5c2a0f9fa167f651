"""Infotext: the text in a picture that tells how it was made (spec prompts.md 8).

Writing: `infotext_parameters` puts the facts in order, `write_infotext` makes the text.
Reading: `parse_infotext` takes it apart again; the `overrides_*` functions find option values.
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
