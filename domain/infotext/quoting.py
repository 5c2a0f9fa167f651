"""Quoting of infotext values (spec prompts.md 8.1, 8.5)."""

import json
import re

_NEEDS_QUOTES = re.compile(r"[,:\n]")


def quote(value: object) -> str:
    """A value as text; as a JSON string if it contains `,`, `:` or a newline."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if _NEEDS_QUOTES.search(text) else text


def unquote(text: str) -> str:
    """Undo `quote`; text that is no JSON string is returned as it is."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    try:
        value = str(json.loads(text))
    except json.JSONDecodeError:
        return text
    return value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
