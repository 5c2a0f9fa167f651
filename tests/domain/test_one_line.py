"""No text of a stranger can look like another line of a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.one_line import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ž 红 🔴", "plain text, ž 红 🔴"),
        ("a\nb", "a\\nb"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x00", "\\x00"),
        ("\x7f\x85\x9b", "\\x7f\\x85\\x9b"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\ud800", "\\ud800"),
        ("\t", "\\t"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_what_is_long_is_cut_and_counted() -> None:
    assert one_line("abcdef", 4) == "abcd... (2 characters more)"
    assert one_line("abcd", 4) == "abcd"
    assert len(one_line("\n" * 10**6)) < 1100


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()
