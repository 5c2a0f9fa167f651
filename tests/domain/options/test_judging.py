"""What may be stored: one rule for every option (ADR 23; spec api.md 13.2, 17)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import REGISTRY, Options, expected, judge_size
from hexfusion.domain.options.option import ITEM_LENGTH, LIST_ITEMS

EVERY = sorted(REGISTRY.values(), key=lambda option: option.key)


@pytest.mark.parametrize("option", EVERY, ids=lambda option: option.key)
def test_every_default_is_admitted(option):
    assert Options({option.key: option.default})[option.key] == option.default


@pytest.mark.parametrize(
    "option", [each for each in EVERY if each.admitted], ids=lambda option: option.key
)
def test_the_ends_are_admitted_and_what_is_beyond_is_not(option):
    low, high = option.admitted
    other = {}
    if option.at_most:
        other[option.at_most[0]] = REGISTRY[option.at_most[0]].admitted[1]
    if option.key == "interrogate_clip_max_length":  # not below the shortest
        other["interrogate_clip_min_length"] = 1
    for end in (low, high):
        if option.at_most and end > other[option.at_most[0]] * option.at_most[1]:
            continue
        assert Options({option.key: end, **other})[option.key] == end
    for beyond, clamped in ((low - 1, option.low_is_lowest), (high + 1, option.high_is_highest)):
        if beyond in option.also:
            continue
        if clamped:
            end = low if beyond < low else high
            assert Options({option.key: beyond})[option.key] == end
        else:
            with pytest.raises(OptionError, match=f"^{option.key}: must be from ") as refused:
                Options({option.key: beyond})
            assert refused.value.key == option.key


@pytest.mark.parametrize(
    "option",
    [each for each in EVERY if each.choices and each.kind == "str" and not each.open_choices],
    ids=lambda option: option.key,
)
def test_choices_are_taken_and_nothing_else(option):
    gone = dict(option.refused)
    for choice in option.choices:
        if choice in gone:
            with pytest.raises(OptionError, match="is not available"):
                Options({option.key: choice})
        else:
            assert Options({option.key: choice})[option.key] == choice
    if option.otherwise:
        assert Options({option.key: "magic"})[option.key] == option.otherwise
        return
    with pytest.raises(OptionError, match=f"{option.key}: must be one of: .*; not 'magic'"):
        Options({option.key: "magic"})


@pytest.mark.parametrize(
    "option", [each for each in EVERY if each.kind == "str"], ids=lambda option: option.key
)
def test_no_text_is_endless(option):
    """30 MB were stored once, and sent with every GET."""
    if option.unstorable or option.otherwise:
        return
    with pytest.raises(OptionError, match=option.key):
        Options({option.key: "x" * (option.longest + 1)})


@pytest.mark.parametrize(
    "option", [each for each in EVERY if each.kind == "list"], ids=lambda option: option.key
)
def test_no_list_is_endless(option):
    word = option.choices[0] if option.choices else "x"
    assert len(Options({option.key: [word] * LIST_ITEMS}).texts(option.key)) == LIST_ITEMS
    for too_long in ([word] * (LIST_ITEMS + 1), ["x" * (ITEM_LENGTH + 1)]):
        with pytest.raises(OptionError, match=option.key):
            Options({option.key: too_long})


@pytest.mark.parametrize(
    ("key", "given_value", "stored"),
    [
        # A1111 asks `> 1` (spec prompts.md 5.6): 1 and less are the last layer.
        ("CLIP_stop_at_last_layers", 0, 1),
        ("CLIP_stop_at_last_layers", -5, 1),
        ("CLIP_stop_at_last_layers", "0", 1),
        # Spec images.md 13.1: below 0 is a square.
        ("n_rows", -7, -1),
        # A chunk has 75 tokens, so that 74 is all of them.
        ("comma_padding_backtrack", 500, 74),
        ("comma_padding_backtrack", -1, 0),
        # Spec api.md 17: unknown => Original.
        ("emphasis", "loud", "Original"),
        ("samples_format", "JPG", "jpg"),
        ("samples_format", "Jpeg", "jpeg"),
        ("grid_format", "WebP", "webp"),
        ("live_previews_image_format", "jpg", "jpeg"),
    ],
)
def test_what_means_something_in_a1111_is_taken_for_it(key, given_value, stored):
    value = Options({key: given_value})[key]
    assert (value, type(value)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("samples_format", "avif"),
        ("samples_format", ""),
        ("grid_format", "tiff"),
        ("randn_source", "cpu"),
        ("randn_source", "dice"),
        ("sd_noise_schedule", "Linear"),
        ("sd_vae_decode_method", "TAESDXL"),
        ("fp8_storage", "Enable"),
        ("token_merging_ratio", 1),
        ("token_merging_ratio_hr", -0.1),
        ("code_former_weight", 1.01),
        ("CLIP_stop_at_last_layers", 99),
        ("jpeg_quality", 0),
        ("jpeg_quality", 10**9),
        ("n_rows", 10**6),
        ("upscaling_max_images_in_cache", 10**6),
        ("ESRGAN_tile", 1),
        ("sigma_min", -1),
        ("rho", 1e-300),
        ("uni_pc_order", 0),
        ("grid_background_color", "reddish"),
        ("directories_filename_pattern", "[date]/../.."),
        ("directories_filename_pattern", "a\\..\\b"),
        ("samples_filename_pattern", "x" * 5000),
        ("outdir_grids", "../x"),
        ("outdir_save", "a\0b"),
        ("temp_dir", "a/../../b"),
        ("font", "..\\a.ttf"),
        ("outdir_txt2img_samples", "x" * 256),
        ("profiling_activities", ["CPU", "TPU"]),
    ],
)
def test_what_later_jobs_would_be_refused_for_is_refused(key, value):
    for change in (Options().updated, Options().with_overrides):
        with pytest.raises(OptionError) as refused:
            change({key: value})
        assert refused.value.key == key
        assert len(str(refused.value)) < 400


def test_two_that_do_not_go_together():
    """Tiles that hardly move: A1111 divides by nothing, or takes for ever."""
    with pytest.raises(OptionError, match=r"at most 0\.75 times ESRGAN_tile, which is 64, not 60"):
        Options({"ESRGAN_tile": 64, "ESRGAN_tile_overlap": 60})
    wide = Options({"ESRGAN_tile_overlap": 100})
    with pytest.raises(OptionError) as refused:
        wide.updated({"ESRGAN_tile": 64})
    assert refused.value.key == "ESRGAN_tile"  # which was set, and not what it meets
    assert wide.updated({"ESRGAN_tile": 64, "ESRGAN_tile_overlap": 8}).integer("ESRGAN_tile") == 64
    assert wide.updated({"ESRGAN_tile": 0})["ESRGAN_tile"] == 0  # no tiles
    with pytest.raises(OptionError, match="sigma_min"):
        Options({"sigma_min": 4, "sigma_max": 2})
    assert Options({"sigma_min": 4, "sigma_max": 0})["sigma_min"] == 4
    with pytest.raises(OptionError, match="interrogate_clip_min_length"):
        Options({"interrogate_clip_min_length": 49})


def test_all_together_have_a_limit():
    before = Options({"font": "x"})
    after = before.updated({"deepbooru_filter_tags": "y" * 500, "font": "z"})
    judge_size(before.stored, after.stored, 1000)
    with pytest.raises(OptionError, match="at most 400 are kept") as refused:
        judge_size(before.stored, after.stored, 400)
    assert refused.value.key == "deepbooru_filter_tags"
    judge_size(after.stored, before.stored, 10)  # what shrinks may


WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["png", "#fff", "CPU", "..", "/etc", "~", "1e400", "nan", "-0", "[date]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=300)
@given(st.sampled_from(EVERY), WILD)
def test_a_value_is_refused_by_name_or_stays_what_it_is_when_set_again(option, value):
    try:
        options = Options({option.key: value})
    except OptionError as refused:
        assert refused.key == option.key
        assert len(str(refused)) < 500
    else:
        assert Options(options.stored) == options


def test_what_is_admitted_is_told_in_words():
    assert expected(REGISTRY["ESRGAN_tile"]) == "from 16 to 8192 or 0"
    assert expected(REGISTRY["samples_format"]) == "one of: png, jpg, jpeg, webp"
    assert expected(REGISTRY["fp8_storage"]) == "one of: Disable"
    assert expected(REGISTRY["font"]).startswith("a file inside of the data folder")
    assert expected(REGISTRY["sd_vae"]) == ""
