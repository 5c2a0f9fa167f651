"""Prompts made ready for a plan, against spec prompts.md section 0."""

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.parts import PromptPart, negative_parts, positive_parts
from hexfusion.domain.prompts.schedule import ScheduledText


def test_and_splits_before_editing_is_read():
    # spec prompts.md section 0, steps 5 and 6: the brackets around AND do not hold together
    assert positive_parts("[cat:dog:2] AND big :0.5", 4) == (
        PromptPart((ScheduledText(2, "cat"), ScheduledText(4, "dog"))),
        PromptPart((ScheduledText(4, " big"),), 0.5),
    )


def test_negative_prompts_are_never_split():
    assert negative_parts("cat AND dog :2", 4) == (
        PromptPart((ScheduledText(4, "cat AND dog :2"),)),
    )


def test_malformed_weights_are_refused_early_and_by_field():
    with pytest.raises(InvalidRequest) as caught:
        negative_parts("[a:(b:1.2.3):3]", 4)
    assert caught.value.field == "negative_prompt"


def test_malformed_weights_are_plain_text_without_emphasis():
    assert positive_parts("(b:1.2.3)", 4, emphasis="None")[0].schedule[0].text == "(b:1.2.3)"
