"""Options of other servers, as their clients send them to this one."""

import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.system.options import ChangeOptions, UnusedOptions
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.infotext import overrides_from_infotext
from hexfusion.domain.options import REGISTRY, Options, UnknownOption, WritePolicy
from hexfusion.domain.options.registry import find_option
from tests.application.worlds import world

#: (key, a value as its server's clients send it)
SENT = [
    ("forge_inference_memory", 1024),  # sd-webui-forge-classic issue 1206
    ("forge_unet_storage_dtype", "Automatic (fp16 LoRA)"),
    ("forge_async_loading", "Queue"),
    ("forge_pin_shared_memory", "CPU"),
    ("forge_preset", "sd"),
    ("quicksettings", "sd_model_checkpoint, sd_vae"),
    ("diffusers_offload_mode", "balanced"),
    ("sd_backend", "diffusers"),
    ("sd_model_refiner", "None"),
    ("schedulers_sigma", {"any": ["thing"]}),
    ("cuda_compile", None),
    ("control_net_unit_count", 3),
    ("ad_max_models", 2),
]


def told_by(lines):
    return ChangeOptions(
        MemoryOptions(), find_checkpoint=lambda name: None, unused=UnusedOptions(lines.append)
    )


@pytest.mark.parametrize(("key", "value"), SENT)
def test_they_are_accepted_and_nothing_is_stored(key, value):
    assert Options().updated({key: value}) == Options()
    assert Options().with_overrides({key: value}) == Options()
    assert WritePolicy().admit({key: value}, Options()) == {}
    assert key not in REGISTRY or REGISTRY[key].interface_only


def test_they_are_told_once_by_family():
    lines = []
    change = told_by(lines)
    change({"forge_inference_memory": 1024, "quicksettings": "sd_vae", "jpeg_quality": 90})
    change({"forge_async_loading": "Queue", "forge_inference_memory": 1})
    assert lines == [
        "without effect here: forge_* (it is an option of Forge)",
        "without effect here: quicksettings (it is an option of A1111 before 1.3)",
    ]


def test_a_request_that_names_them_makes_its_picture(caplog):
    it = world()
    settings = {"forge_inference_memory": 1024, "forge_preset": "xl", "jpeg_quality": 90}
    it.txt2img(Txt2Img(steps=1, width=64, height=64, override_settings=settings))
    assert [each for each in caplog.messages if "forge_*" in each]


def test_their_own_lists_are_ours_too():
    assert Options({"quicksettings_list": ["sd_vae"]}).texts("quicksettings_list") == ("sd_vae",)


def test_clip_skip_is_an_alias():
    """SD.Next's name of CLIP_stop_at_last_layers."""
    assert Options({"clip_skip": 2}).stored == {"CLIP_stop_at_last_layers": 2}
    assert Options().with_overrides({"clip_skip": 0})["CLIP_stop_at_last_layers"] == 1
    assert Options({"CLIP_stop_at_last_layers": 3})["clip_skip"] == 3
    assert "clip_skip" not in list(Options())
    store = MemoryOptions()
    ChangeOptions(store, find_checkpoint=lambda name: None)({"clip_skip": 2})
    assert store.snapshot().stored == {"CLIP_stop_at_last_layers": 2}


@pytest.mark.parametrize("turned", [False, True])
def test_an_options_own_name_counts_where_both_are_given(turned):
    both = {"clip_skip": 2, "CLIP_stop_at_last_layers": 3}
    both = dict(reversed(both.items())) if turned else both
    assert Options(both)["CLIP_stop_at_last_layers"] == 3
    assert WritePolicy().admit(both, Options()) == {"CLIP_stop_at_last_layers": 3}


def test_an_alias_in_a_request_counts_before_its_infotext():
    """Spec prompts.md 8.6: what the request itself overrides is left alone."""
    assert overrides_from_infotext({"Clip skip": "3"}, Options(), {"clip_skip": 2}) == {}


def test_no_family_hides_an_option():
    for key, option in REGISTRY.items():
        assert find_option(key) is option


@pytest.mark.parametrize("key", ["no_such_option", "forg_preset", "Forge_preset", ""])
def test_what_nobody_knows_is_refused(key):
    """Spec api.md 13.2."""
    with pytest.raises(UnknownOption):
        Options().updated({key: 1})
