"""Expands file name patterns: text with `[token]` and `[token<argument>...]`.

Source: spec prompts.md 9.3.
"""

import re

from hexfusion.domain.filenames.name_facts import NameFacts
from hexfusion.domain.filenames.sanitising import NameRules
from hexfusion.domain.filenames.tokens import SKIP, TOKENS, Skip

_TOKEN = re.compile(r"\[([^\[\]]+)\]")


def expand(pattern: str, facts: NameFacts, rules: NameRules) -> str:
    """The pattern with every token replaced.

    An unknown token, and one without a value, stays as written. A token that returns `SKIP` is
    removed together with the text between it and the previous token.
    """
    *pieces, rest = _TOKEN.split(pattern)  # text, token, text, token, ..., text
    expanded = ""
    for text, token in zip(pieces[::2], pieces[1::2], strict=True):
        value = _value(token, facts, rules)
        if value is not SKIP:
            expanded += f"{text}[{token}]" if value is None else f"{text}{value}"
    return expanded + rest


def _value(token: str, facts: NameFacts, rules: NameRules) -> str | Skip | None:
    name, arguments = _split_arguments(token)
    function = TOKENS.get(name.lower())
    try:
        return function(facts, rules, *arguments) if function else None
    except ValueError:
        return None


def _split_arguments(token: str) -> tuple[str, list[str]]:
    """`name<a><b>` as the name and its arguments in order."""
    arguments: list[str] = []
    while token.endswith(">"):
        start = token.rfind("<")
        argument = token[start + 1 : -1]
        if start < 0 or ">" in argument:
            break
        token = token[:start]
        arguments.append(argument)
    return token, arguments[::-1]
