"""Formats infotext: prompts and parameters as text (spec prompts.md 8.1)."""

from collections.abc import Mapping

from hexfusion.domain.infotext.quoting import quote

NEGATIVE = "Negative prompt:"


def write_infotext(prompt: str, negative_prompt: str, parameters: Mapping[str, object]) -> str:
    """Prompt, negative prompt if there is one, and `Key: value` pairs in the mapping's order.

    Null values are left out; a value equal to its key is written as the key alone.
    """
    negative = f"\n{NEGATIVE} {negative_prompt}" if negative_prompt else ""
    line = ", ".join(
        key if key == value else f"{key}: {quote(value)}"
        for key, value in parameters.items()
        if value is not None
    )
    return f"{prompt}{negative}\n{line}".strip()
