"""Scripts: what clients see of them, and their arguments.

A script that this server cannot run is not listed: clients take what is listed for what works.
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
