"""Bounds that hold for every field of their kind (spec api.md 5.1 and 6: A1111 has none)."""

import math

import msgspec
import pytest

from hexfusion.application.planning.limits import check_img2img, check_txt2img
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img


def numbers(kind: type[msgspec.Struct]) -> list[str]:
    """The fields that may be a float."""
    hints = ((each.name, each.type) for each in msgspec.structs.fields(kind))
    return [name for name, hint in hints if "float" in str(hint)]


CASES = [(kind, field) for kind in (Txt2Img, Img2Img) for field in numbers(kind)]


@pytest.mark.parametrize(("kind", "field"), CASES, ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_by_its_field(kind, field: str, value: float):
    request = kind(**{field: value})
    check = check_txt2img if kind is Txt2Img else lambda each: check_img2img(each, masked=False)
    if field == "s_tmax" and not math.isnan(value):  # no limit
        check(request)
        return
    with pytest.raises(InvalidRequest) as caught:
        check(request)
    assert caught.value.field == field


def test_there_are_such_fields():
    assert {"cfg_scale", "hr_scale", "s_tmax"} <= set(numbers(Txt2Img))
    assert {"denoising_strength", "image_cfg_scale"} <= set(numbers(Img2Img))
