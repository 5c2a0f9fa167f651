"""Reading infotext, against spec prompts.md section 8.5."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.infotext.reading import parse_infotext, split_infotext
from hexfusion.domain.infotext.writing import write_infotext
from hexfusion.domain.options import Options
from hexfusion.domain.prompts.styles import Style, parse_styles

LINE = "Steps: 5, Sampler: Euler, Seed: 3"


def read(text, styles=(), **options):
    return parse_infotext(text, Options(options), styles)


def test_every_vector(prompt_vectors):
    # spec prompts.md section 8.5, V:infotext_parse
    settings = prompt_vectors["infotext_parse"]["settings"]
    options = Options(
        {
            "infotext_styles": settings["infotext_styles"],
            "auto_backcompat": settings["auto_backcompat"],
            "use_old_hires_fix_width_height": settings["use_old_hires_fix_width_height"],
            "infotext_skip_pasting": settings["skip_fields"],
        }
    )
    styles = parse_styles(prompt_vectors["styles"]["csv"])
    cases = prompt_vectors["infotext_parse"]["cases"]
    assert len(cases) == 35
    for case in cases:
        got = parse_infotext(case["input"], options, styles)
        assert got == case["expected"], case["input"]
        assert list(got) == list(case["expected"]), case["input"]


@pytest.mark.parametrize("section", ["rest", "formats"])
def test_recorded_png_info(shared, section):
    # spec prompts.md section 8.4: `parameters` is what 8.5 makes of `info`
    styles = parse_styles((shared / "golden/data/styles.csv").read_text(encoding="utf-8-sig"))
    compared = 0
    for path in sorted((shared / "golden" / section).glob("pnginfo_*.json")):
        body = json.loads(path.read_text()).get("body", {})
        if "parameters" in body:
            assert read(body["info"], styles) == body["parameters"], path
            compared += 1
    assert compared > 0


def test_styles_by_mode():
    # spec prompts.md section 8.5, item 4
    neon = [Style("Neon", "neon glow", "")]
    styled, plain = f"a fox, neon glow\n{LINE}", f"a fox\n{LINE}"
    assert read(styled, neon, infotext_styles="Ignore")["Prompt"] == "a fox, neon glow"
    discarded = read(styled, neon, infotext_styles="Discard")
    assert discarded["Prompt"] == "a fox"
    assert "Styles array" not in discarded
    assert read(plain, neon, infotext_styles="Apply")["Styles array"] == []
    assert "Styles array" not in read(plain, neon)


def test_labels_can_be_dropped_and_old_versions_ignored():
    # spec prompts.md section 8.5, items 7 and 8
    old = f"p [a]\n{LINE}, Version: v1.5.0"
    assert read(old)["Old prompt editing timelines"] is True
    assert "Old prompt editing timelines" not in read(old, auto_backcompat=False)
    assert "Seed" not in read(old, infotext_skip_pasting=["Seed"])


def test_old_hires_sizes():
    # spec prompts.md section 8.5, item 6
    text = f"p\n{LINE}, Size: 512x512, Hires resize: 1024x768"
    got = read(text, use_old_hires_fix_width_height=True)
    assert (got["Size-1"], got["Size-2"]) == (1024, 768)
    assert read(text)["Size-1"] == "512"


@pytest.mark.parametrize(
    "sizes",
    [
        "Size: 0x0, First pass size: 0x0",
        "Size: 0x512, First pass size: 0x0",
        "First pass size-1: x",
    ],
)
def test_impossible_sizes_are_left_alone(sizes):
    # The reference raises here; a picture's text is no reason to fail.
    assert "Seed" in read(f"p\n{LINE}, {sizes}")


def test_malformed_weights_count_as_emphasis():
    # The reference raises here; a picture's text is no reason to fail.
    assert read(f"p (a:1.2.3)\n{LINE}")["Emphasis"] == "Original"


def test_values_keep_the_quotes_that_are_no_json():
    raw = split_infotext('p\nSteps: 5, Seed: 3, Aa: "x\\q", Bb: "", Cc: "one" two')
    assert raw.parameters["Aa"] == '"x\\q"'
    assert raw.parameters["Bb"] == ""
    assert raw.parameters["Cc"] == '"one" two'


def test_long_lines_do_not_cost_quadratic_time():
    started = time.process_time()
    split_infotext("word " * 40_000)
    split_infotext(f'Aa: "{"x" * 100_000}, ' * 2)
    assert time.process_time() - started < 2


WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
PROMPT_LINES = WORDS.map(lambda s: s.replace("\n", " ").strip()).filter(
    lambda s: s and not s.startswith("Negative prompt:")
)
PROMPTS = st.lists(PROMPT_LINES, max_size=3).map("\n".join)
KEYS = st.from_regex(r"[A-Z][A-Za-z0-9 /-]{1,10}", fullmatch=True)


def survives(value):
    """Values that the format can carry: some unquoted ones are read as something else."""
    size = len(sides := value.split("x")) == 2 and all(map(str.isdecimal, sides))
    quoted = any(sign in value for sign in ",:\n")
    return not size and (quoted or (value == value.strip() and not value.startswith('"')))


@given(PROMPTS, PROMPTS, st.dictionaries(KEYS, WORDS.filter(survives), max_size=6))
def test_what_is_written_is_read_back(prompt, negative, extra):
    extra = {key: value for key, value in extra.items() if key != value}
    parameters = {**extra, "Steps": "20", "Sampler": "Euler a", "Seed": "1"}
    raw = split_infotext(write_infotext(prompt, negative, parameters))
    assert raw.parameters == parameters
    assert (raw.prompt, raw.negative_prompt) == (prompt, negative)


FRAGMENTS = ["a", "Seed: 3", ", ", "\n", ":", '"', "\\", "Size: 9x9", "Negative prompt:", "[", "("]
LABELS = ["Version: v1.0", "First pass size: 0x0", "Hires prompt: ", "Hypernet: h", " ", "x", "0"]


@given(st.lists(st.sampled_from(FRAGMENTS + LABELS), max_size=24).map("".join) | st.text())
def test_any_text_is_read(text):
    got = read(text, [Style("s", "a {prompt} x", ""), Style("t", "a", "")])
    assert isinstance(got["Prompt"], str)
    assert isinstance(got["Negative prompt"], str)
    assert got["Clip skip"]
