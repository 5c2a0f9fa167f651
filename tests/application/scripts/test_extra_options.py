"""Options given as script arguments, in jobs. Spec scripts.md 14, api.md 5.3 and 8."""

import pytest
from PIL import Image

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.scripts.listing import ListScripts
from hexfusion.domain.errors import InvalidRequest, OptionError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import UnknownOption
from tests.application.worlds import TINY, Catalog, world

SMALL = {"steps": 1, "width": 64, "height": 64, "prompt": "a cat"}


@pytest.fixture
def studio():
    made = world()
    made.options.update(
        {
            "extra_options_txt2img": ["CLIP_stop_at_last_layers", "add_model_name_to_info"],
            "extra_options_img2img": ["CLIP_stop_at_last_layers"],
        }
    )
    return made


def asked(studio, *arguments, **more):
    scripts = {"Extra options": {"args": list(arguments)}}
    request = Txt2Img(**SMALL, alwayson_scripts=scripts, **more)
    return studio.txt2img(request).infotext


def test_an_argument_overrides_its_option_for_this_request(studio):
    assert "Clip skip: 2" in asked(studio, 2)
    assert "Model: " in asked(studio, 2)
    assert "Model: " not in asked(studio, 2, False)
    assert "Clip skip" not in asked(studio)
    assert "CLIP_stop_at_last_layers" not in studio.options.snapshot().stored


def test_the_request_s_own_overrides_win(studio):
    assert "Clip skip: 3" in asked(studio, 2, override_settings={"CLIP_stop_at_last_layers": 3})
    assert "Clip skip" not in asked(studio, 2, override_settings={"CLIP_stop_at_last_layers": None})


def test_the_request_is_echoed_as_it_was(studio):
    scripts = {"extra options": {"args": [2]}}
    made = studio.txt2img(Txt2Img(**SMALL, alwayson_scripts=scripts))
    assert not made.request.override_settings
    assert made.request.alwayson_scripts == scripts


def test_pictures_from_pictures_have_their_own(studio):
    request = Img2Img(**SMALL, alwayson_scripts={"extra options": {"args": [2, "surplus"]}})
    made = studio.img2img(request, InitPictures((Image.new("RGB", (64, 64)),)))
    assert "Clip skip: 2" in made.infotext


def test_jobs_of_a_script_heed_them(studio):
    request = Txt2Img(
        **SMALL,
        script_name="prompt matrix",
        script_args=[False, False, "positive", "comma", 0],
        alwayson_scripts={"extra options": {"args": [2]}},
    )
    assert "Clip skip: 2" in studio.txt2img(request).infotext


def test_what_is_wrong_is_named(studio):
    with pytest.raises(OptionError, match="CLIP_stop_at_last_layers"):
        asked(studio, "two")
    with pytest.raises(InvalidRequest, match="args must be a list"):
        studio.txt2img(Txt2Img(**SMALL, alwayson_scripts={"extra options": {"args": "2"}}))
    studio.options.update({"extra_options_txt2img": ["no_such_key"]})
    with pytest.raises(UnknownOption):
        asked(studio, 2)


def test_they_are_listed(studio):
    scripts = ListScripts(
        Models(Catalog([TINY]), FakeInference()), studio.options, PlainUpscaler()
    )()
    extra = [each for each in scripts if each.name == "extra options"]
    assert [(each.of_pictures, len(each.arguments)) for each in extra] == [(False, 2), (True, 1)]
    assert extra[0].arguments[1].value is True
