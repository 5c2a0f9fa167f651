import json
import re
from pathlib import Path

import pytest

from hexfusion.domain.options import REGISTRY, SECTIONS, find_option, section_of

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/options.json").read_text("utf-8"))
WRITTEN_BY_LOADER = {"sd_model_checkpoint", "sd_checkpoint_hash"}


def plain(value):
    return list(value) if isinstance(value, tuple) else value


def test_the_recorded_server_registers_the_same_options_in_the_same_order():
    """Spec api.md 13.1: an API-only server does not list what extensions add for the UI."""
    listed = [option.key for option in REGISTRY.values() if not option.web_ui_only]
    assert listed == list(GOLDEN["fresh"])
    assert len(REGISTRY) == 329


@pytest.mark.parametrize("key", sorted(set(GOLDEN["fresh"]) - WRITTEN_BY_LOADER))
def test_defaults_are_the_recorded_ones(key):
    option = REGISTRY[key]
    if option.explanation:
        assert isinstance(option.default, str) and option.default  # the wording is ours
    else:
        assert json.dumps(plain(option.default)) == json.dumps(GOLDEN["fresh"][key])


def test_infotext_labels_are_the_recorded_ones():
    """Spec prompts.md 8.7, vector override_label_map."""
    listed = [option for option in REGISTRY.values() if not option.web_ui_only]
    labels = {option.infotext: option.key for option in listed if option.infotext}
    assert labels == GOLDEN["override_label_map"]


def test_every_key_is_registered_once_and_has_its_section():
    keys = [option.key for section in SECTIONS for option in section.options]
    assert len(keys) == len(set(keys))
    assert section_of("samples_format").id == "saving-images"
    assert section_of("sd_checkpoint_hash").id == ""


def test_section_ids_are_those_of_the_specification():
    """Spec api.md 17.8."""
    ids = (
        "saving-images saving-paths saving-to-dirs upscaling face-restoration system profiler API "
        "training sd sdxl sd3 vae img2img optimizations compatibility interrogate extra_networks "
        "ui_prompt_editing ui_gallery ui_alternatives ui infotext sampler-params postprocessing "
        "settings_in_ui canvas_hotkey hypertile callbacks"
    )
    found = {section.id for section in SECTIONS} | {section_of("prioritized_callbacks_x").id}
    assert found - {""} == set(ids.split())
    unsectioned = {o.key for section in SECTIONS if not section.id for o in section.options}
    assert unsectioned == {
        "disabled_extensions",
        "disable_all_extensions",
        "restore_config_state_file",
        "sd_checkpoint_hash",
    }


def test_callback_orders_are_known_without_being_registered():
    """Spec api.md 13.1."""
    assert find_option("prioritized_callbacks_app_started").kind == "list"
    assert "prioritized_callbacks_app_started" not in REGISTRY
    assert find_option("no_such_option") is None


def test_headless_options_say_what_they_do_and_spans_hold_their_default():
    for option in REGISTRY.values():
        assert bool(option.about) != (option.interface_only or option.explanation), option.key
        if option.span:
            assert option.span[0] <= option.default <= option.span[1], option.key
        if option.choices:
            chosen = option.default if option.kind == "list" else (option.default,)
            assert set(chosen) <= set(option.choices), option.key


def test_every_row_of_the_specification_is_registered_as_it_says(shared):
    """Spec api.md 17.1 to 17.7, read from the specification itself."""
    text = (shared / "spec/api.md").read_text("utf-8")
    text = text[text.index("### 17.1 ") : text.index("### 17.8 ")]
    rows = re.findall(r"^\| `(\w+)`(.*)\|$", text, re.MULTILINE)
    assert len(rows) == len(REGISTRY)
    for key, rest in rows:
        option = REGISTRY[key]
        _, typing, default, *_ = [cell.strip() for cell in rest.split("|")]
        assert option.web_ui_only == ("†" in rest), key
        assert option.api_restricted == ("API-write-restricted" in rest), key
        assert option.path_locked == ("locked by --hide-ui-dir-config" in rest), key
        if "/" in typing:
            assert option.output_rule == typing.split("/")[1], key
        if default != "HTML text":
            assert json.dumps(plain(option.default)) == json.dumps(json.loads(default[1:-1])), key
