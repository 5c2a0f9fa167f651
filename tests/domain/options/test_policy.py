import pytest

from hexfusion.domain.options import FrozenOption, Options, UnknownOption, WritePolicy

OPEN = WritePolicy()


def test_changes_are_admitted_in_their_order():
    changes = {"send_seed": False, "jpeg_quality": 90}
    assert list(OPEN.admit(changes, Options())) == ["send_seed", "jpeg_quality"]


def test_what_equals_the_stored_value_is_no_change():
    """Spec api.md 13.2: compared with the live value; an absent key counts as null."""
    current = Options({"jpeg_quality": 90})
    assert OPEN.admit({"jpeg_quality": "90", "samples_format": None}, current) == {}
    assert OPEN.admit({"jpeg_quality": 80}, Options()) == {"jpeg_quality": 80}
    assert OPEN.admit({"jpeg_quality": None}, current) == {"jpeg_quality": None}


def test_unknown_keys_are_errors_unless_null():
    assert OPEN.admit({"no_such_key": None}, Options()) == {}
    with pytest.raises(UnknownOption):
        OPEN.admit({"no_such_key": 1}, Options())


def test_restricted_and_explaining_options_are_ignored():
    """Spec api.md 13.2, whatever the value."""
    changes = {"api_enable_requests": False, "api_useragent": [], "settings_in_ui": "x"}
    assert OPEN.admit(changes, Options()) == {}


def test_hide_ui_dir_config_locks_paths():
    """Spec api.md 1: ignored silently."""
    changes = {"outdir_txt2img_samples": "/etc", "jpeg_quality": 90}
    assert OPEN.admit(changes, Options()) == changes
    locked = WritePolicy(lock_paths=True)
    assert locked.admit(changes, Options()) == {"jpeg_quality": 90}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (WritePolicy(freeze_all=True), "changing settings is disabled"),
        (
            WritePolicy(freeze_sections=frozenset({"saving-images"})),
            "not possible to set 'jpeg_quality' because settings in section "
            "'Saving images and grids' (saving-images) are frozen "
            "with --freeze-settings-in-sections",
        ),
        (
            WritePolicy(freeze_keys=frozenset({"jpeg_quality"})),
            "not possible to set 'jpeg_quality' because this setting is frozen "
            "with --freeze-specific-settings",
        ),
    ],
)
def test_frozen_options_refuse_changes_and_only_changes(policy, message):
    """Spec api.md 13.2."""
    with pytest.raises(FrozenOption) as frozen:
        policy.admit({"jpeg_quality": 90}, Options())
    assert frozen.value.message == message
    assert policy.admit({"jpeg_quality": 90}, Options({"jpeg_quality": 90})) == {}


def test_other_options_are_not_frozen():
    policy = WritePolicy(freeze_sections=frozenset({"sd"}), freeze_keys=frozenset({"font"}))
    assert policy.admit({"jpeg_quality": 90}, Options()) == {"jpeg_quality": 90}


def test_with_everything_frozen_not_even_saving_is_allowed():
    """Spec api.md 13.2 step 3."""
    OPEN.check_saving()
    with pytest.raises(FrozenOption, match="saving settings is disabled"):
        WritePolicy(freeze_all=True).check_saving()
