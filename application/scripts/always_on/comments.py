"""Comments: an option takes them out of prompts (`hexfusion.domain.prompts.comments`); the script
may be named. Source: spec scripts.md 3 and 14."""

from hexfusion.application.scripts.always_on.script import AlwaysOn

SCRIPT = AlwaysOn("Comments", listing="hidden")
