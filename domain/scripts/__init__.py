"""Scripts: what clients see of them, and the arguments of those that a request selects.

A script that this server cannot run is not listed: clients take what is listed for what works.
"""

from hexfusion.domain.scripts.always_on import img2img_scripts, txt2img_scripts
from hexfusion.domain.scripts.arguments import Arguments, form_of, read_arguments
from hexfusion.domain.scripts.form import Script, ScriptArgument

__all__ = [
    "Arguments",
    "Script",
    "ScriptArgument",
    "form_of",
    "img2img_scripts",
    "read_arguments",
    "txt2img_scripts",
]
