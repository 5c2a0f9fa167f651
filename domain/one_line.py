"""Text of strangers in one line of a log."""

#: Characters of a text that are shown; what follows is counted.
SHOWN = 500


def one_line(text: str, limit: int = SHOWN) -> str:
    """`text` with everything escaped that does not print, cut after `limit` characters.

    Line breaks, control sequences of terminals, marks that turn the writing's direction, and halves
    of surrogate pairs become escapes, so that no text can look like another line, or move what is
    shown of this one. What is cut off is told as a number of characters.
    """
    shown, rest = text[:limit], len(text) - limit
    escaped = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )
    return f"{escaped}... ({rest} characters more)" if rest > 0 else escaped
