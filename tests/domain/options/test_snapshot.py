import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import REGISTRY, Options, UnknownOption


def test_a_fresh_snapshot_holds_the_defaults():
    options = Options()
    assert dict(options) == {key: option.default for key, option in REGISTRY.items()}
    assert options.stored == {}


def test_stored_values_win_over_defaults_and_the_original_stays():
    fresh = Options()
    changed = fresh.updated({"jpeg_quality": 95})
    assert changed["jpeg_quality"] == 95
    assert changed.stored == {"jpeg_quality": 95}
    assert fresh["jpeg_quality"] == 80


def test_neither_stored_values_nor_lists_can_be_changed_in_place():
    names = ["Euler"]
    options = Options({"hide_samplers": names})
    names.append("Heun")
    assert options["hide_samplers"] == ("Euler",)
    with pytest.raises(TypeError):
        options.stored["jpeg_quality"] = 1


def test_null_goes_back_to_the_default():
    assert Options({"jpeg_quality": 95}).updated({"jpeg_quality": None}) == Options()


def test_unknown_keys_are_errors_unless_null():
    """Spec api.md 13.2: an absent key counts as null, so null changes nothing."""
    assert Options().updated({"no_such_key": None}) == Options()
    with pytest.raises(UnknownOption, match="no_such_key"):
        Options().updated({"no_such_key": 1})
    with pytest.raises(KeyError):
        Options()["no_such_key"]
    assert Options().get("no_such_key") is None
    assert "no_such_key" not in Options()


def test_explanations_keep_their_text():
    """Spec api.md 13.2."""
    assert Options().updated({"infotext_explanation": "x"}) == Options()


def test_overrides_are_seen_by_one_request_only():
    """Spec api.md 5.3, without its leak into later requests."""
    options = Options({"CLIP_stop_at_last_layers": 2})
    assert (
        options.with_overrides({"CLIP_stop_at_last_layers": 3}).integer("CLIP_stop_at_last_layers")
        == 3
    )
    assert options["CLIP_stop_at_last_layers"] == 2


def test_overrides_skip_restricted_keys_and_nulls():
    """Spec api.md 5.3: restricted keys are skipped silently, whatever their value."""
    options = Options({"jpeg_quality": 95})
    overrides = {
        "api_enable_requests": False,
        "api_useragent": ["junk"],
        "jpeg_quality": None,
        "no_such_key": None,
    }
    assert options.with_overrides(overrides) == options


def test_overrides_of_unknown_keys_and_wrong_types_are_errors():
    with pytest.raises(UnknownOption) as unknown:
        Options().with_overrides({"no_such_option": 1})
    assert unknown.value.key == "no_such_option"
    with pytest.raises(OptionError, match="CLIP_stop_at_last_layers: ") as wrong:
        Options().with_overrides({"CLIP_stop_at_last_layers": "abc"})
    assert not isinstance(wrong.value, UnknownOption)


@pytest.mark.parametrize(
    ("key", "given_value", "stored"),
    [
        # spec api.md 2.2, one row of its table after the other
        ("CLIP_stop_at_last_layers", "2", 2),
        ("CLIP_stop_at_last_layers", True, 1),
        ("CLIP_stop_at_last_layers", 1.5, 1),
        ("code_former_weight", "0.25", 0.25),
        ("code_former_weight", True, 1.0),
        ("samples_save", "off", False),
        ("samples_save", "YES", True),
        ("samples_save", 0, False),
        ("samples_save", 1.0, True),
        ("font", 5, "5"),
        ("font", True, "True"),
        ("sd_model_checkpoint", "a.safetensors", "a.safetensors"),
        ("hide_samplers", ["Euler", 1], ("Euler", "1")),
        ("prioritized_callbacks_app_started", ["a"], ("a",)),
        # an integer default, but the slider goes from 0.0 to 1
        ("sd_webui_modal_lightbox_icon_opacity", 0.5, 0.5),
    ],
)
def test_values_are_coerced_before_they_are_stored(key, given_value, stored):
    value = Options({key: given_value})[key]
    assert value == stored
    assert type(value) is type(stored)


def test_a_whole_number_stays_whole_in_an_option_for_fractions():
    """Spec api.md 13.2: stored as is. Infotext shows `Sigma churn: 1` then, not `1.0`."""
    assert repr(Options({"s_churn": 1})["s_churn"]) == "1"
    assert Options({"s_churn": 1}).number("s_churn") == 1.0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("CLIP_stop_at_last_layers", "abc", "an integer"),
        ("CLIP_stop_at_last_layers", "1.5", "an integer"),
        ("CLIP_stop_at_last_layers", [1], "an integer"),
        ("CLIP_stop_at_last_layers", math.inf, "an integer"),
        ("CLIP_stop_at_last_layers", 10**400, "an integer"),
        ("code_former_weight", "abc", "a number"),
        ("code_former_weight", math.nan, "a number"),
        ("code_former_weight", "inf", "a number"),
        ("samples_save", "notabool", "a boolean"),
        ("samples_save", 2, "a boolean"),
        ("samples_format", {}, "a text"),
        ("samples_format", "\ud800", "a text"),
        ("hide_samplers", "x", "a list"),
        ("hide_samplers", [[]], "a list"),
    ],
)
def test_what_cannot_be_coerced_is_refused_by_name_and_type(key, value, expected):
    """A1111 stores these, and then answers GET /options with 500 (recorded: opt_wrongtype)."""
    with pytest.raises(OptionError) as refused:
        Options().updated({key: value})
    assert refused.value.key == key
    assert expected in refused.value.message
    assert len(refused.value.message) < 150


def test_typed_access():
    options = Options()
    assert options.flag("samples_save") is True
    assert options.integer("jpeg_quality") == 80
    assert options.number("s_noise") == 1.0
    assert options.text("upscaler_for_img2img") == ""
    assert options.texts("dat_enabled_models") == ("DAT x2", "DAT x3", "DAT x4")
    with pytest.raises(AssertionError, match="samples_format"):
        options.integer("samples_format")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=3,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(list(REGISTRY)), json_values, max_size=3))
def test_whatever_is_accepted_survives_being_stored_again(changes):
    try:
        options = Options().updated(changes)
    except OptionError as refused:
        assert refused.key in changes
        assert len(str(refused)) < 400
    else:
        assert Options(options.stored) == options
        assert hash(Options(options.stored)) == hash(options)


def test_what_a_request_names_itself_is_known():
    """So that it can count before what is stored under another key."""
    base = Options({"sd_vae": "a.pt"})
    given = base.with_overrides({"tiling": False, "sd_vae": None, "api_useragent": "x"})
    assert [given.overridden(key) for key in ("tiling", "sd_vae", "api_useragent")] == [
        True, False, False,
    ]  # fmt: skip
    assert given.updated({"font": "x"}).overridden("tiling")
    assert given.with_overrides({"font": "x"}).overridden("tiling")
    assert not base.overridden("sd_vae")
    assert Options({"tiling": False}) == given.updated({"sd_vae": None})


def test_forges_modules_are_known_without_being_listed():
    """Clients tell Forge by that key among the options."""
    options = Options({"forge_additional_modules": ["a", 5]})
    assert options.texts("forge_additional_modules") == ("a", "5")
    assert Options().texts("forge_additional_modules") == ()
    assert "forge_additional_modules" not in list(options)
