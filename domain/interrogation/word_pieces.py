"""Joins BERT word pieces (subword tokens) into text.

Source: Devlin et al., "BERT"; Wu et al., "GNMT", 4.1.
"""

import re
from collections.abc import Iterable

#: Prefix of a piece that continues a word.
_INNER = "##"
_BEFORE_MARK = re.compile(r" ([.,!?])")
_SHORTENED = re.compile(r" (n't|'m|'s|'ve|'re)\b")


def join_word_pieces(pieces: Iterable[str]) -> str:
    """`a`, `snow`, `##man`, `'`, `s`, `hat`, `.` -> `a snowman's hat.`

    Pieces are joined to words, without a space before punctuation or within contractions.
    """
    text = "".join(
        piece.removeprefix(_INNER) if piece.startswith(_INNER) else f" {piece}" for piece in pieces
    )
    text = text.replace(" ' ", "'")
    return _SHORTENED.sub(r"\1", _BEFORE_MARK.sub(r"\1", text)).strip()
