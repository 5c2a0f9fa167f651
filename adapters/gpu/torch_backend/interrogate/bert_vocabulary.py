"""BERT's vocabulary, which BLIP's captions use, read from a file in BLIP's folder.

BLIP's own file has no words. A1111 lets transformers download `vocab.txt` of bert-base-uncased;
here nothing is downloaded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hexfusion.domain.errors import CheckpointError, ModelUnavailable
from hexfusion.domain.interrogation.word_pieces import join_word_pieces

_FILE = "vocab.txt"
_PADDING, _END, _UNKNOWN = "[PAD]", "[SEP]", "[UNK]"
#: BLIP's additional tokens, numbered after the vocabulary; the first one begins a text.
_SPECIAL = ("[DEC]", "[ENC]")


@dataclass(frozen=True)
class BertVocabulary:
    """Word pieces by token id, and the ids of special tokens."""

    pieces: tuple[str, ...]
    numbers: Mapping[str, int]
    begin: int
    end: int
    padding: int

    def number(self, word: str) -> int:
        """The token id of a word that is a single piece."""
        return self.numbers[word]

    def text(self, numbers: Iterable[int]) -> str:
        """The text of token ids, up to the first end token and without special ones."""
        pieces = []
        for number in numbers:
            if number == self.end:
                break
            piece = self.pieces[number] if number < len(self.pieces) else _SPECIAL[0]
            if not (piece.startswith("[") and piece.endswith("]") and len(piece) > 2):
                pieces.append(piece)
        return join_word_pieces(pieces)


def read_vocabulary(folder: Path) -> BertVocabulary:
    """Read `vocab.txt` in `folder`.

    Raises `ModelUnavailable` if it is missing, `CheckpointError` for another vocabulary.
    """
    file = folder / _FILE
    if not file.is_file():
        raise ModelUnavailable(
            f"BLIP's words are missing: put {_FILE} of bert-base-uncased in {folder} (A1111 keeps "
            "one in ~/.cache/huggingface/hub/models--bert-base-uncased/snapshots/*)"
        )
    try:
        text = file.read_text("utf-8").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(str(file), f"cannot be read: {error}") from error
    # Not splitlines: some of the words are themselves other line separators.
    return vocabulary([line.rstrip("\r") for line in text.split("\n")], str(file))


def vocabulary(pieces: list[str], file: str) -> BertVocabulary:
    """The vocabulary of these pieces. Raises `CheckpointError` if a word is missing."""
    numbers = {piece: number for number, piece in enumerate(pieces)}
    for word in (_PADDING, _END, _UNKNOWN, "a", "picture", "of"):
        if word not in numbers:
            raise CheckpointError(file, f"is not BERT's vocabulary: it lacks {word!r}")
    return BertVocabulary(tuple(pieces), numbers, len(pieces), numbers[_END], numbers[_PADDING])
