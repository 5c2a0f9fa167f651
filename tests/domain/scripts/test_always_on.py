"""Spec scripts.md 3 and 14. Their form is compared with the recording in test_lists.py."""

from hexfusion.domain.scripts import txt2img_scripts


def arguments(scripts, name):
    (script,) = (each for each in scripts if each.name == name)
    return script.arguments


def test_a_refiner_is_chosen_among_the_checkpoints():
    _, checkpoint, _ = arguments(txt2img_scripts(["a", "b [12]"]), "refiner")
    assert checkpoint.choices == ("a", "b [12]")


def test_hidden_samplers_are_no_choice():
    """Option hide_samplers."""
    _, method, _ = arguments(txt2img_scripts([], ["DPM++ 2M", "LCM"]), "sampler")
    assert method.value == method.choices[0] == "DPM++ SDE"
    assert "LCM" not in method.choices
