"""Tokens of file-name patterns (spec prompts.md 9.3)."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hexfusion.domain.filenames import DEFAULT_RULES, NameFacts, NameRules, expand
from hexfusion.domain.filenames.tokens import TOKENS
from hexfusion.domain.sampling.names import effective_scheduler
from hexfusion.domain.sampling.samplers import BY_NAME
from tests.domain.filenames.facts import facts

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "filename_patterns.json").read_text("utf-8")
)


def vector_facts(changed: dict[str, Any]) -> NameFacts:
    """The facts of a vector, which speaks of A1111's processing object."""
    said = {**VECTORS["defaults"], "batch_index": 0, **changed}
    styles = {style["name"]: style["prompt"] for style in VECTORS["styles"]}
    width, height = said["image"].split("x")
    # The vectors give a null seed where there is none, and never a list for a single image.
    return facts(
        seed=said["seed"],
        all_seeds=tuple(said.get("all_seeds", ())),
        prompt=said["prompt"],
        job_prompt=said["prompt"],
        job_negative_prompt=said["negative_prompt"],
        steps=said["steps"],
        cfg_scale=said["cfg_scale"],
        width=int(width),
        height=int(height),
        sampler=said["sampler_name"],
        scheduler=effective_scheduler(BY_NAME[said["sampler_name"]], said["scheduler"]),
        model_name=said["model_name"],
        model_hash=said["model_hash"],
        styles=tuple(said.get("styles", ())),
        style_texts=tuple(styles.get(name, "") for name in said.get("styles", ())),
        batch_size=said["batch_size"],
        n_iter=said["n_iter"],
        batch_index=None if said.get("zip") else said["batch_index"],
        iteration=said.get("iteration", 0),
        clip_skip=said["CLIP_stop_at_last_layers"],
        denoising_strength=said.get("denoising_strength"),
        user=said.get("user"),
        basename=said.get("basename", ""),
        max_prompt_words=said["directories_max_prompt_words"],
    )


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["pattern"])
def test_vectors(case):
    assert expand(case["pattern"], vector_facts(case["changed"]), DEFAULT_RULES) == case["expected"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[date]", "2026-11-22"),
        ("[datetime]", "%Y%m%d%H%M%S in local time"),
        ("[datetime<>]", "%Y%m%d%H%M%S in local time"),
        ("[datetime<%H>]", "%H in local time"),
        ("[datetime<%H><Asia/Tokyo>]", "%H in Asia_Tokyo"),
        ("[datetime<!><UTC>]", "%Y%m%d%H%M%S in UTC"),
        ("[image_hash]", "0123456789abcdef" * 4),
        ("[image_hash<6>]", "012345"),
        ("[prompt_hash<x>]", "[prompt_hash<x>]"),
        ("[prompt_hash<-1>]", "[prompt_hash<-1>]"),
        ("[prompt_hash<0>]", ""),
        ("[vae_filename]", "NoneType"),
        ("[hasprompt]", ""),
        ("[hasprompt<dog>]", ""),
        ("[hasprompt<a<b>]", "[hasprompt<a<b>]"),
        ("[seed>]", "[seed>]"),
        ("[model_hash]", "abcdef0123"),
        ("[]", "[]"),
        ("a[batch_number]b[seed]c[batch_number]d", "b5d"),
    ],
)
def test_tokens_beyond_the_vectors(pattern, expected):
    assert expand(pattern, facts(), DEFAULT_RULES) == expected


def test_a_value_that_is_unknown_leaves_the_token():
    """Spec prompts.md 9.3: null stays literally, as a user who has not logged in."""
    assert expand("[model_hash]-[user]", facts(model_hash=None), DEFAULT_RULES) == (
        "[model_hash]-[user]"
    )


def test_an_external_vae_shows_its_name_up_to_the_first_dot():
    it = facts(vae="ft-mse.840000.safetensors")
    assert expand("[vae_filename]", it, DEFAULT_RULES) == "ft-mse"


def test_a_grid_is_no_picture_of_a_batch():
    it = facts(batch_size=2, n_iter=2, batch_index=None)
    assert expand("x[batch_number]y[generation_number]z", it, DEFAULT_RULES) == "z"


def test_the_picture_is_hashed_only_when_asked():
    def forbidden() -> str:
        raise AssertionError("hashed")

    assert expand("[seed]", facts(pixel_hash=forbidden), DEFAULT_RULES) == "5"


def test_the_operators_rules():
    """Spec prompts.md 9.3: --unix-filenames-sanitization, --filenames-max-length."""
    it = facts(prompt='  (a:1.2) \\(b\\) c/d "e"? ')
    assert expand("[prompt_spaces]", it, NameRules(unix=True)) == '(a:1.2) \\(b\\) c_d "e"?'
    assert expand("[prompt_spaces]", it, NameRules()) == "(a_1.2) _(b_) c_d _e__"
    assert expand("[prompt_spaces]", it, NameRules(max_length=4)) == "(a_1"
    assert expand("[prompt]", facts(prompt="a . b"), NameRules(max_length=3)) == "a_"


def test_a_prompt_without_utf8_has_a_hash_too():
    """A client may send half a surrogate pair."""
    assert len(expand("[prompt_hash]", facts(prompt="\ud800"), DEFAULT_RULES)) == 8


TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
TOKEN = st.one_of(
    st.sampled_from(sorted(TOKENS)),
    st.builds("{}<{}>".format, st.sampled_from(sorted(TOKENS)), TEXT),
)
PATTERN = st.lists(
    st.one_of(TEXT, st.builds("[{}]".format, TOKEN), st.sampled_from(["/", "\\", "..", ".", " "])),
    max_size=8,
).map("".join)


@given(prompt=TEXT, rules=st.builds(NameRules, max_length=st.integers(1, 200)))
@example(prompt=" . ", rules=NameRules())
@settings(max_examples=100, deadline=None)
def test_a_prompt_in_a_name_is_clean(prompt, rules):
    shown = expand("[prompt_spaces]", facts(prompt=prompt), rules)
    assert not set(shown) & set('#<>:"/\\|?*\n\r\t')
    assert len(shown) <= rules.max_length
    assert shown == shown.lstrip(" ") and shown == shown.rstrip(" .")


@given(text=TEXT)
@settings(max_examples=50, deadline=None)
def test_text_without_tokens_stays(text):
    pattern = text.replace("[", "(").replace("]", ")")
    assert expand(pattern, facts(), DEFAULT_RULES) == pattern
