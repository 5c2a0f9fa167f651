"""BERT's word pieces as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.interrogation.word_pieces import join_word_pieces


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a", "cat"], "a cat"),
        (["a", "snow", "##man", "'", "s", "hat", "."], "a snowman's hat."),
        (["who", "?", "me", ",", "you", "!"], "who? me, you!"),
        (["do", "n't"], "don't"),
        (["it", "'s"], "it's"),
        ([], ""),
        (["##man"], "man"),
        (["a", "-", "b"], "a - b"),
    ],
)
def test_words(pieces, text):
    assert join_word_pieces(pieces) == text


@given(st.lists(st.text(st.sampled_from("abc"), min_size=1), min_size=1), st.data())
def test_words_come_back_whole(words, data):
    pieces = []
    for word in words:
        at = data.draw(st.integers(1, len(word)))
        pieces += [word[:at], *([f"##{word[at:]}"] if word[at:] else [])]
    assert join_word_pieces(pieces) == " ".join(words)
