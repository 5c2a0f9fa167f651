"""Caption words to CLIP token numbers, and to rows of the small training embedding.

`words.json` holds the CLIP byte-pair codes of the words that occur in captions, so training needs
no tokeniser; `python -m tools.starter.tokens VOCAB.gz` rebuilds it from CLIP's public vocabulary
file.
"""

import gzip
import json
import re
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

START, END, LENGTH = 49406, 49407, 77
VOCABULARY = 49408
WORDS_FILE = Path(__file__).with_name("words.json")
_PIECES = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")


@cache
def words() -> dict[str, list[int]]:
    """Word -> CLIP token numbers."""
    return json.loads(WORDS_FILE.read_text())


@cache
def known_tokens() -> list[int]:
    """CLIP numbers of the training embedding's rows; row 0 (number -1) means any other word."""
    return [-1, START, END, *sorted({t for ids in words().values() for t in ids})]


@cache
def _row_of() -> dict[int, int]:
    return {number: row for row, number in enumerate(known_tokens())}


def row_ids(caption: str) -> list[int]:
    """Rows of the small embedding for the words of `caption`, without start and end."""
    rows = _row_of()
    pieces = _PIECES.findall(caption)
    return [rows[t] for p in pieces for t in words().get(p, [-1])]


def pad_rows(ids: list[int]) -> np.ndarray:
    """int64 [77]: start, ids, then end tokens (SD1 pads with the end token)."""
    rows = np.full(LENGTH, _row_of()[END], np.int64)
    rows[0] = _row_of()[START]
    rows[1 : 1 + len(ids)] = ids[: LENGTH - 2]
    return rows


def _byte_symbols() -> list[str]:
    """CLIP's 256 printable stand-ins for bytes, in vocabulary order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + k) for k in range(len(rest))]


def build_words(vocabulary_file: str, captions) -> dict[str, list[int]]:
    """Byte-pair encode every word that occurs in `captions`."""
    with gzip.open(vocabulary_file) as packed:
        lines = packed.read().decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    rank = {pair: k for k, pair in enumerate(merges)}
    base = _byte_symbols()
    vocabulary = base + [s + "</w>" for s in base] + ["".join(pair) for pair in merges]
    number = {symbol: k for k, symbol in enumerate(vocabulary)}

    def split(word: str) -> list[int]:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                break
            k = pairs.index(best)
            parts[k : k + 2] = ["".join(best)]
        return [number[p] for p in parts]

    found = sorted({p for text in captions for p in _PIECES.findall(text)})
    return {word: split(word) for word in found}


if __name__ == "__main__":
    from .captions import caption
    from .world import picture_number

    texts = [caption(*picture_number(index, 7)) for index in range(30000)]
    table = build_words(sys.argv[1], texts)
    WORDS_FILE.write_text(json.dumps(table, indent=0) + "\n")
