"""Which options a response follows: the stored ones, or the request's. Source: spec api.md 5.3."""

import json

import pytest

from hexfusion.domain.errors import OptionError
from hexfusion.domain.generation import Txt2Img
from tests.application.worlds import world

REQUEST = {"prompt": "x", "steps": 2, "width": 64, "height": 64, "seed": 1}


def encoding(overrides, **stored):
    it = world()
    it.options.update(stored)
    return it.txt2img(Txt2Img(**REQUEST, override_settings=overrides)).encoding


def test_pictures_are_sent_as_the_stored_options_say():
    """Recordings options/jpg, webp: the answer is a PNG."""
    sent = encoding({"samples_format": "webp", "jpeg_quality": 7})
    assert (sent.format, sent.quality) == ("png", 80)
    assert encoding({}, samples_format="webp", jpeg_quality=7).format == "webp"


def test_the_text_inside_follows_the_request():
    """Recording options/nopnginfo."""
    assert encoding({}).embed
    assert not encoding({"enable_pnginfo": False}).embed
    assert not encoding({}, enable_pnginfo=False).embed
    assert encoding({"enable_pnginfo": True}, enable_pnginfo=False).embed


def test_a_format_that_there_is_not_is_refused_before_any_work():
    """Recording options/fmt_bad: 200 there, since its format is not asked; when it is, in
    formats/t2i_tiff, the finished picture is lost with a 500."""
    with pytest.raises(OptionError, match="samples_format: must be one of: png, jpg, jpeg, webp"):
        encoding({"samples_format": "tiff"})
    with pytest.raises(OptionError, match="not 'avif'"):
        encoding({}, samples_format="avif")


@pytest.mark.parametrize("name", ["jpg", "webp", "nopnginfo", "no_name"])
def test_as_recorded(shared, name):
    recording = json.loads((shared / "golden" / "options" / f"{name}.json").read_text())
    (picture,) = recording["body"]["images"]
    sent = encoding(recording["request"]["json"]["override_settings"])
    assert picture["$file"].endswith(sent.format)
    assert ("parameters" in picture["text"]) is sent.embed
