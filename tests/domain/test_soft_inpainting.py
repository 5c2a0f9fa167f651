"""The always-on script's arguments (spec scripts.md 14)."""

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.soft_inpainting import SoftInpainting, asked_for


def test_it_is_off_unless_its_first_argument_is_true():
    assert asked_for({}) is None
    assert asked_for({"Soft Inpainting": {}}) is None
    assert asked_for({"Soft Inpainting": {"args": [False, 2]}}) is None
    assert asked_for({"Hypertile": {"args": [True]}}) is None


def test_missing_arguments_keep_their_defaults_and_surplus_ones_are_dropped():
    assert asked_for({"soft inpainting": {"args": [True]}}) == SoftInpainting()
    asked = asked_for({"Soft inpainting": {"args": [True, 2, 0.25, 8, 0.5, 1, 3, "more"]}})
    assert asked == SoftInpainting(
        power=2, scale=0.25, detail=8, mask_influence=0.5, threshold=1, contrast=3
    )


@pytest.mark.parametrize("arguments", [[True, "2"], [True, 9], [True, 1, 0.5, 0], "True", 5])
def test_what_is_no_setting_is_refused(arguments):
    with pytest.raises(InvalidRequest, match="soft inpainting"):
        asked_for({"Soft inpainting": {"args": arguments}})
