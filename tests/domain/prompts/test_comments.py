"""Comments, against spec prompts.md section 4.1."""

from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.prompts.comments import strip_comments


def test_every_vector(prompt_vectors):
    # spec prompts.md section 4.1, V:comments
    cases = prompt_vectors["comments"]
    assert len(cases) == 14
    for case in cases:
        assert strip_comments(case["input"]) == case["expected"], case["input"]


@given(st.text(alphabet="ab #\n", max_size=40))
def test_no_comment_is_left_and_other_lines_are_kept(text):
    stripped = strip_comments(text)
    assert "#" not in stripped
    kept = [line for line in text.split("\n") if line and "#" not in line]
    assert [line for line in stripped.split("\n") if line in kept and line] == [
        part for line in text.split("\n") if (part := line.split("#")[0]) in kept
    ]
