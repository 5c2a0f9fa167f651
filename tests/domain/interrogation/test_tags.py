"""A picture's tags as text (spec images.md 12.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.interrogation import TagScore, TagSettings, tag_settings, tag_text
from hexfusion.domain.options import Options

SCORES = [
    TagScore("solo", 0.9),
    TagScore("long_hair", 0.5),
    TagScore(":d", 0.49),
    TagScore("rating:safe", 0.99),
    TagScore("hat_(witch)", 0.95),
    TagScore("a\\b", 0.6),
]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"a\\b, hat \(witch\), long hair, solo"),
        ({"deepbooru_use_spaces": False}, r"a\\b, hat_\(witch\), long_hair, solo"),
        ({"deepbooru_escape": False}, "a\\b, hat (witch), long hair, solo"),
        ({"deepbooru_sort_alpha": False}, r"hat \(witch\), solo, a\\b, long hair"),
        ({"interrogate_deepbooru_score_threshold": 0.9}, r"hat \(witch\), solo"),
        ({"interrogate_deepbooru_score_threshold": 0}, r":d, a\\b, hat \(witch\), long hair, solo"),
        (
            {"interrogate_return_ranks": True},
            r"(a\\b:0.600), (hat \(witch\):0.950), (long hair:0.500), (solo:0.900)",
        ),
        ({"deepbooru_filter_tags": "long hair , solo"}, r"a\\b, hat \(witch\)"),
        ({"deepbooru_filter_tags": "long_hair,hat_(witch),"}, r"a\\b, solo"),
        ({"deepbooru_filter_tags": r"hat_\(witch\)"}, r"a\\b, hat \(witch\), long hair, solo"),
        ({"interrogate_deepbooru_score_threshold": 1}, ""),
    ],
)
def test_options(options, text):
    assert tag_text(SCORES, tag_settings(Options(options))) == text


_tags = st.lists(
    st.builds(TagScore, st.text(st.sampled_from("ab_()\\:"), min_size=1), st.floats(0, 1)),
    unique_by=lambda score: score.tag,
)


@given(_tags, st.floats(0, 1))
def test_orders_tell_the_same_tags(scores, threshold):
    told = {
        order: tag_text(
            scores,
            TagSettings(threshold=threshold, alphabetical=order, spaces=False, escape=False),
        )
        for order in (True, False)
    }
    count = sum(s.probability >= threshold and not s.tag.startswith("rating:") for s in scores)
    for text in told.values():
        assert len(text.split(", ")) == max(1, count)
    assert sorted(told[True].split(", ")) == sorted(told[False].split(", "))


@given(st.text(st.sampled_from("ab()\\")))
def test_what_is_escaped_can_be_read_again(tag):
    """The prompt language takes a backslash before brackets for plain ones."""
    text = tag_text([TagScore(f"x{tag}", 1.0)], TagSettings())
    unescaped, letters = "", iter(text)
    for letter in letters:
        unescaped += next(letters) if letter == "\\" else letter
    assert unescaped == f"x{tag}"
