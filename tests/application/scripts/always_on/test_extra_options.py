"""Options as arguments of an always-on script. Spec scripts.md 14, api.md 8."""

import pytest

from hexfusion.application.scripts.always_on.extra_options import extra_options
from hexfusion.application.scripts.always_on.reading import read_always_on
from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import ScriptArgument, form_of

OPTIONS = Options({"extra_options_txt2img": ["CLIP_stop_at_last_layers", "tiling"]})


def overrides(scripts, options=OPTIONS):
    return read_always_on(Txt2Img(alwayson_scripts=scripts), SCRIPTS, options).overrides()


def given(*arguments):
    return {"Extra Options": {"args": list(arguments)}}


def test_each_argument_is_the_value_of_its_option():
    assert overrides(given(2, True)) == {"CLIP_stop_at_last_layers": 2, "tiling": True}
    assert overrides(given(None, "?")) == {"CLIP_stop_at_last_layers": None, "tiling": "?"}


def test_those_left_out_are_not_overridden_and_a_surplus_is_dropped():
    assert overrides(given(2)) == {"CLIP_stop_at_last_layers": 2}
    assert len(overrides(given(2, True, "more"))) == 2
    for nothing in ({}, {"extra options": {}}, {"seed": {"args": [1]}}, given()):
        assert overrides(nothing) == {}
    assert overrides(given(2), Options()) == {}


def test_arguments_that_are_no_list_are_refused():
    for wrong in ("ab", 1, {"a": 1}):
        with pytest.raises(InvalidRequest, match="args must be a list") as refused:
            overrides({"extra options": {"args": wrong}})
        assert refused.value.field == "alwayson_scripts"


def test_both_kinds_have_their_own():
    options = Options({"extra_options_txt2img": ["tiling"], "extra_options_img2img": ["n_rows"]})
    labels = [form_of(extra_options(kind, options), {})[0].label for kind in (Txt2Img, Img2Img)]
    assert len(set(labels)) == 2
    of_pictures = Img2Img(alwayson_scripts=given(3))
    assert read_always_on(of_pictures, SCRIPTS, options).overrides() == {"n_rows": 3}


def test_they_are_listed_as_they_are_without_the_argument():
    keys = ["CLIP_stop_at_last_layers", "tiling", "randn_source", "gone"]
    options = Options({"extra_options_txt2img": keys, "CLIP_stop_at_last_layers": 2})
    skip, tiling, noise, gone = form_of(extra_options(Txt2Img, options), {})
    assert (skip.value, skip.minimum, skip.maximum, skip.choices) == (2, 1, 12, None)
    assert tiling.value is False
    assert noise.choices == ("GPU", "CPU", "NV")
    assert gone == ScriptArgument("gone", None)
