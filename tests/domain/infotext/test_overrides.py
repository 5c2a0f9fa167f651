"""Options in infotext, against spec prompts.md sections 8.6 and 8.7."""

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.infotext.overrides import (
    OVERRIDE_LABELS,
    overrides_from_infotext,
    overrides_from_texts,
    read_override,
)
from hexfusion.domain.infotext.reading import parse_infotext
from hexfusion.domain.options import Options

HYPERTILE = {
    **{
        f"Hypertile U-Net{label}": f"hypertile_{key}"
        for label, key in {
            "": "enable_unet",
            " second pass": "enable_unet_secondpass",
            " max depth": "max_depth_unet",
            " max tile size": "max_tile_unet",
            " swap size": "swap_size_unet",
        }.items()
    },
    **{
        f"Hypertile VAE{label}": f"hypertile_{key}"
        for label, key in {
            "": "enable_vae",
            " max depth": "max_depth_vae",
            " max tile size": "max_tile_vae",
            " swap size": "swap_size_vae",
        }.items()
    },
}


def test_label_vector(prompt_vectors):
    # spec prompts.md section 8.7, V:override_label_map (it leaves out the Hypertile extension)
    labels = {label: option.key for label, option in OVERRIDE_LABELS.items()}
    assert labels == {**prompt_vectors["override_label_map"], **HYPERTILE}


def test_every_vector(prompt_vectors):
    # spec prompts.md section 8.7, V:override_settings_texts
    cases = prompt_vectors["override_settings_texts"]
    assert len(cases) == 6
    for case in cases:
        got = overrides_from_texts(case["input"])
        assert got == case["expected"]
        assert {k: type(v) for k, v in got.items()} == {
            k: type(v) for k, v in case["expected"].items()
        }


def test_the_checkpoint_has_the_type_of_the_current_one():
    assert read_override("Model hash", "00aa", current="tiny.safetensors") == "00aa"


def test_values_of_a_wrong_type_are_refused():
    with pytest.raises(InvalidRequest, match="Clip skip: 'two' is not an integer"):
        overrides_from_texts(["Clip skip: two"])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_infinity_is_no_number(text):
    with pytest.raises(InvalidRequest, match=r"Eta: .* is not a number"):
        overrides_from_texts([f"Eta: {text}"])


def infotext_overrides(options, given=(), line="Clip skip: 2, Model hash: 00aa, RNG: CPU"):
    parsed = parse_infotext(f"p\n{line}", options)
    return overrides_from_infotext(parsed, options, dict(given))


def test_only_what_differs_is_overridden():
    # spec prompts.md section 8.6
    assert infotext_overrides(Options()) == {"CLIP_stop_at_last_layers": 2, "randn_source": "CPU"}
    current = Options({"CLIP_stop_at_last_layers": 2, "randn_source": "CPU"})
    assert infotext_overrides(current) == {}


def test_the_requests_own_overrides_win():
    # spec prompts.md section 8.6
    assert infotext_overrides(Options(), {"randn_source": "NV"}) == {"CLIP_stop_at_last_layers": 2}


def test_filled_in_defaults_override_options_back():
    # spec prompts.md section 8.6: because of the filled-in defaults
    options = Options({"rho": 5.0, "sd_vae_decode_method": "TAESD"})
    got = infotext_overrides(options, line="Steps: 5, Seed: 1, Clip skip: 1")
    assert got == {"rho": 0.0, "sd_vae_decode_method": "Full"}


def test_labels_are_read_as_they_are_written():
    """Spec prompts.md 8.7: A1111 writes "Beta schedule", but reads "Beta scheduler"."""
    line = "Beta schedule alpha: 0.5, Beta schedule beta: 0.25, Schedule type: Beta"
    assert infotext_overrides(Options(), line=line) == {
        "beta_dist_alpha": 0.5,
        "beta_dist_beta": 0.25,
    }


def test_the_model_is_swapped_only_when_asked():
    # spec prompts.md section 8.6
    options = Options({"disable_weights_auto_swap": False, "sd_model_checkpoint": "tiny"})
    assert infotext_overrides(options)["sd_model_checkpoint"] == "00aa"
