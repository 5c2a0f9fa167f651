"""CLIP's byte-pair tokenizer, offline.

It uses the `tokenizers` library, which transformers' own `CLIPTokenizer` is built on, without the
two seconds that transformers takes to import. The vocabulary is in this package. Source: spec
prompts.md 5.1.
"""

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from html import unescape
from importlib.resources import files

from hexfusion.domain.prompts.old_emphasis import BRACKETS

_MERGES = 49152 - 256 - 2
_WORDS = r"|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def clean(text: str) -> str:
    """The text normalised for CLIP: broken Unicode fixed, single spaces, lower case."""
    from ftfy import fix_text

    return re.sub(r"\s+", " ", fix_text(text)).strip().lower()


def clean_for_open_clip(text: str) -> str:
    """`clean` with HTML entities unescaped twice: `&amp;lt;` becomes `<`."""
    from ftfy import fix_text

    return re.sub(r"\s+", " ", unescape(unescape(fix_text(text)))).strip().lower()


class ClipTokenizer:
    """Text to CLIP token ids. Takes about 0.2 s to build; safe to use from many threads.

    `clean` is applied to the text first. `begin` and `end` are the texts of the two special
    tokens, recognised in prompts.
    """

    def __init__(
        self,
        clean: Callable[[str], str] = clean,
        begin: str = "<|startoftext|>",
        end: str = "<|endoftext|>",
    ) -> None:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        self._clean = clean
        merges = _read_merges()
        alphabet = list(_byte_alphabet())
        words = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
        words += ["".join(pair) for pair in merges]
        vocabulary = {word: index for index, word in enumerate([*words, begin, end])}
        model = models.BPE(
            vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", unk_token=end
        )
        special = f"{re.escape(begin)}|{re.escape(end)}"
        self._tokenizer = Tokenizer(model)
        self._tokenizer.add_special_tokens([begin, end])
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(special + _WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without begin, end or padding, and of any length."""
        cleaned = [self._clean(text) for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned, add_special_tokens=False)
        return [one.ids for one in encoded]

    @cached_property
    def bracket_tokens(self) -> Mapping[int, str]:
        """Text of every token that has a bracket in it, by id."""
        return {
            token: word
            for word, token in self._tokenizer.get_vocab().items()
            if any(bracket in word for bracket in BRACKETS)
        }


def open_clip_tokenizer() -> ClipTokenizer:
    """The tokenizer of OpenCLIP's models (SD2, bigG in SDXL).

    It has CLIP's vocabulary, unescapes HTML, and has other texts for the special tokens.
    """
    return ClipTokenizer(clean_for_open_clip, "<start_of_text>", "<end_of_text>")


def _read_merges() -> list[tuple[str, str]]:
    packed = files(__package__).joinpath("clip_vocabulary", "bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(packed.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split() for line in lines[1 : _MERGES + 1])  # the first line is a version
    return [(first, second) for first, second in pairs]


def _byte_alphabet() -> str:
    """A visible character for each byte, in the vocabulary's order.

    Printable Latin-1 bytes come first, as themselves; the others are characters from U+0100 on.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return "".join(map(chr, visible)) + "".join(chr(0x100 + i) for i in range(256 - len(visible)))
