"""Options as arguments of an always-on script. Spec scripts.md 14, api.md 8."""

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import ScriptArgument
from hexfusion.domain.scripts.extra_options import extra_arguments, extra_keys, extra_overrides

KEYS = ("CLIP_stop_at_last_layers", "tiling")


def given(*arguments):
    return {"Extra Options": {"args": list(arguments)}}


def test_each_argument_is_the_value_of_its_option():
    assert extra_overrides(given(2, True), KEYS) == {"CLIP_stop_at_last_layers": 2, "tiling": True}


def test_those_left_out_are_not_overridden_and_a_surplus_is_dropped():
    assert extra_overrides(given(2), KEYS) == {"CLIP_stop_at_last_layers": 2}
    assert len(extra_overrides(given(2, True, "more"), KEYS)) == 2
    for nothing in ({}, {"extra options": {}}, {"seed": {"args": [1]}}, given()):
        assert extra_overrides(nothing, KEYS) == {}


def test_arguments_that_are_no_list_are_refused():
    for wrong in ("ab", 1, {"a": 1}):
        with pytest.raises(InvalidRequest, match="args must be a list") as refused:
            extra_overrides({"extra options": {"args": wrong}}, KEYS)
        assert refused.value.field == "alwayson_scripts"


def test_both_kinds_have_their_own():
    options = Options({"extra_options_txt2img": ["tiling"], "extra_options_img2img": ["n_rows"]})
    assert extra_keys(options, of_pictures=False) == ("tiling",)
    assert extra_keys(options, of_pictures=True) == ("n_rows",)


def test_they_are_listed_as_they_are_without_the_argument():
    options = Options(
        {"extra_options_txt2img": [*KEYS, "randn_source", "gone"], "CLIP_stop_at_last_layers": 2}
    )
    skip, tiling, noise, gone = extra_arguments(options, of_pictures=False)
    assert (skip.value, skip.minimum, skip.maximum, skip.choices) == (2, 1, 12, None)
    assert tiling.value is False
    assert noise.choices == ("GPU", "CPU", "NV")
    assert gone == ScriptArgument("gone", None)
