"""Scripts as clients list them, and their typed arguments.

A script that this server cannot run is not listed, as clients rely on the list.
"""

from hexfusion.domain.scripts.arguments import (
    Arguments,
    arguments_from_infotext,
    form_of,
    infotext_of,
    read_arguments,
)
from hexfusion.domain.scripts.form import Script, ScriptArgument

__all__ = [
    "Arguments",
    "Script",
    "ScriptArgument",
    "arguments_from_infotext",
    "form_of",
    "infotext_of",
    "read_arguments",
]
