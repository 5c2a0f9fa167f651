"""Comments in prompts: `#` to the end of the line (spec prompts.md 4.1)."""

import re

_WHOLE_LINE = re.compile(r"(?:\A|\n)#[^\n]*(?:\n|\Z)")
_REST_OF_LINE = re.compile(r"#[^\n]*(?:\n|\Z)")


def strip_comments(text: str) -> str:
    """Put one newline in place of every comment; there is no way to escape `#`.

    Lines that are nothing but a comment go first and take the newline before them along; of two
    such lines in a row only the first does, so a newline more is left, as in the reference.
    """
    return _REST_OF_LINE.sub("\n", _WHOLE_LINE.sub("\n", text))
