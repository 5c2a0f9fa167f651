"""Spec networks.md 1.6: which VAE decodes."""

import pytest

from hexfusion.domain.vaes import VaeChoice, VaeFile, choose_vae, lack_of, module_named


def file(name: str) -> VaeFile:
    return VaeFile(name=name, filename=f"/models/VAE/{name}")


A, B = file("a.pt"), file("b.safetensors")
COMPANION, SECOND = file("tiny.vae.pt"), file("tiny-2.vae.safetensors")
FILES = (A, COMPANION, SECOND, B)
FORCED = VaeFile(name="forced.pt", filename="/elsewhere/forced.pt")


def choice(option="Automatic", *, files=FILES, stem="other", **settings) -> VaeChoice:
    return choose_vae(files, option=option, stem=stem, **settings)


@pytest.mark.parametrize("option", ["Automatic", "auto", "AUTOMATIC", ""])
def test_automatic_is_the_checkpoints_own(option):
    assert choice(option) == VaeChoice()


def test_a_name_is_that_file():
    assert choice("a.pt") == VaeChoice(vae=A)
    assert choice("b.safetensors") == VaeChoice(vae=B)


@pytest.mark.parametrize("name", ["b", "A.PT", "/models/VAE/a.pt", "nobody.pt"])
def test_a_name_that_no_file_has_is_told(name):
    """The checkpoint's own VAE is used all the same."""
    assert choice(name) == VaeChoice(unknown=name)
    assert choice(name, overrides_preferences=False) == VaeChoice(unknown=name)


def test_step_1_the_flag_beats_everything():
    given = {"forced": FORCED, "preference": "b.safetensors", "stem": "tiny"}
    for option in ("Automatic", "None", "a.pt", "nobody.pt"):
        assert choice(option, **given) == VaeChoice(vae=FORCED)


def test_step_2_the_option_beats_preferences_if_it_may():
    given = {"preference": "b.safetensors", "stem": "tiny"}
    assert choice("a.pt", **given) == VaeChoice(vae=A)
    assert choice("None", **given) == VaeChoice()
    assert choice("nobody.pt", **given) == VaeChoice(unknown="nobody.pt")


@pytest.mark.parametrize("option", ["a.pt", "None", "nobody.pt"])
def test_step_3_the_preference_comes_first_if_the_option_may_not_beat_it(option):
    given = {"overrides_preferences": False, "stem": "tiny"}
    assert choice(option, preference="b.safetensors", **given) == VaeChoice(vae=B)
    assert choice(option, preference="None", **given) == VaeChoice()


@pytest.mark.parametrize("override", [True, False])
def test_step_3_the_preference_comes_before_a_companion(override):
    given = {"overrides_preferences": override, "stem": "tiny"}
    assert choice(preference="b.safetensors", **given) == VaeChoice(vae=B)
    assert choice(preference="None", **given) == VaeChoice()


@pytest.mark.parametrize("preference", ["Automatic", "auto", "", "nobody.pt", None])
def test_step_3_a_preference_that_says_nothing_is_passed_over(preference):
    assert choice(preference=preference, stem="tiny") == VaeChoice(vae=COMPANION)
    assert choice(preference=preference) == VaeChoice()
    off = {"overrides_preferences": False, "preference": preference}
    assert choice("a.pt", **off) == VaeChoice(vae=A)


def test_step_4_a_companions_name_begins_with_the_checkpoints():
    """The first listed; the option is heard before it only if it overrides."""
    assert choice(stem="tiny") == VaeChoice(vae=COMPANION)
    assert choice(stem="tiny-2") == VaeChoice(vae=SECOND)
    assert choice(stem="tin") == VaeChoice(vae=COMPANION)
    assert choice(stem="tiny", files=(SECOND, COMPANION)) == VaeChoice(vae=SECOND)
    assert choice("a.pt", stem="tiny", overrides_preferences=False) == VaeChoice(vae=COMPANION)
    assert choice(stem="iny") == VaeChoice()
    assert choice(stem="") == VaeChoice()


def test_step_5_the_option_comes_last_if_it_does_not_override():
    assert choice("a.pt", overrides_preferences=False) == VaeChoice(vae=A)
    assert choice("None", overrides_preferences=False) == VaeChoice()
    assert choice("auto", overrides_preferences=False) == VaeChoice()


LARGE = file("Large.VAE.safetensors")
MODULES = (*FILES, LARGE)


@pytest.mark.parametrize(
    ("module", "vae"),
    [
        ("a.pt", A),
        ("a", A),
        ("A.PT", A),
        ("sub/a.pt", A),
        ("sub\\b.safetensors", B),
        ("/home/me/forge/models/VAE/b.safetensors", B),
        ("C:\\Forge\\models\\VAE\\b.safetensors", B),
        ("/home/me/forge/models/VAE/b", B),
        (" b.safetensors ", B),
        ("tiny.vae.pt", COMPANION),
        ("tiny.vae", COMPANION),
        ("tiny", COMPANION),
        ("tiny-2", SECOND),
        ("Large", LARGE),
        ("large.vae.SAFETENSORS", LARGE),
        ("a.safetensors", None),  # another file, though one of that stem is here
        ("b.pt", None),
        ("models/text_encoder/clip_l.safetensors", None),
        ("t5xxl_fp16.gguf", None),
        ("", None),
        ("/", None),
        (".", None),
        (".safetensors", None),
        ("VAE/", None),
    ],
)
def test_forges_modules_by_any_of_their_names(module, vae):
    """Spec modern.md: by path or by file name; a name without extension is looked up by stem."""
    assert module_named(MODULES, module) == vae


def test_case_counts_between_names_that_differ_in_nothing_else():
    files = (file("x.pt"), file("X.pt"))
    assert [module_named(files, name) for name in ("X.pt", "x.pt", "X")] == [
        files[1], files[0], files[1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("halves", "lack"),
    [
        (None, ""),
        (["encoder", "decoder"], ""),
        ([], "holds no VAE"),
        (["encoder"], "holds only a part of a VAE, its encoder"),
        (["decoder"], "holds only a part of a VAE, its decoder"),
    ],
)
def test_what_a_checkpoint_lacks_of_a_vae(halves, lack):
    assert lack_of(halves) == lack
