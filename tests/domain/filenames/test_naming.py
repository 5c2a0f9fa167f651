"""Folders, names and numbers of saved files (spec prompts.md 9.2)."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.filenames import (
    DEFAULT_RULES,
    NameRules,
    decoration,
    file_name,
    next_number,
    numbered,
    sub_folder,
)
from tests.domain.filenames.facts import facts
from tests.domain.filenames.test_pattern import PATTERN, TEXT


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("[date]", "2026-11-22"),
        ("", "a cat"),
        ("  [date]/[seed]/ ", "2026-11-22/5"),
        ("[date]\\[seed]\\", "2026-11-22/5"),
        ("/[seed]", "5"),
        ("./[seed]//.", "5"),
        ("x-[batch_number]", ""),
    ],
)
def test_sub_folders(pattern, folder):
    assert sub_folder(pattern, facts(), DEFAULT_RULES) == folder


@pytest.mark.parametrize(
    "pattern", ["..", "../[date]", "[date]/../..", "a\\..\\b", ".[none].", "/.. /b"]
)
def test_no_sub_folder_leads_out(pattern):
    with pytest.raises(InvalidRequest) as refused:
        sub_folder(pattern, facts(), DEFAULT_RULES)
    assert refused.value.field == "directories_filename_pattern"


def test_patterns_have_an_end():
    long = "[seed]" * 1000
    with pytest.raises(InvalidRequest, match="directories_filename_pattern"):
        sub_folder(long, facts(), DEFAULT_RULES)
    with pytest.raises(InvalidRequest, match="samples_filename_pattern"):
        decoration(long, facts(), DEFAULT_RULES, in_folders=True)


@pytest.mark.parametrize(
    ("pattern", "in_folders", "expected"),
    [
        ("", True, "5"),
        ("", False, "5-a cat"),
        ("[steps]", True, "20"),
        ("[none]", True, ""),
        ("..", True, ""),
        ("a/b\\c", True, "a_b_c"),
    ],
)
def test_decorations(pattern, in_folders, expected):
    assert decoration(pattern, facts(), DEFAULT_RULES, in_folders=in_folders) == expected


def test_a_suffix_ends_the_decoration():
    suffixed = decoration("", facts(), DEFAULT_RULES, in_folders=True, suffix="-mask")
    assert suffixed == "5-mask"


def test_numbers():
    assert numbered(12, "5") == "00012-5"
    assert numbered(12) == "00012"
    assert numbered(123456, "5") == "123456-5"
    assert numbered(12, basename="grid") == "grid-0012"
    assert numbered(12, "5", "grid") == "grid-0012-5"


@pytest.mark.parametrize(
    ("entries", "number"),
    [
        ([], 0),
        (["readme.txt", ".hidden", "grid-0007.png", "-5.png"], 0),
        (["00000-1.png", "00004-1.png", "00002.jpg"], 5),
        (["00004-1.txt", "7"], 8),
        (["2026-11-22"], 2027),  # recording save/nosubdir
        (["1234.png"], 1235),
        (["12.34.png"], 0),
        (["9" * 20 + ".png"], 10**20),
        (["9" * 21 + ".png", "00003-x.png"], 4),
    ],
)
def test_the_next_number(entries, number):
    assert next_number(entries) == number


def test_the_next_number_after_a_basename():
    assert next_number(["grid-0003.png", "grid-0010-5.png", "00077-1.png", "grid-x"], "grid") == 11
    assert next_number(["00077-1.png"], "grid") == 0


def test_names_fit_the_file_system():
    assert file_name("a" * 300, "png") == "a" * 251 + ".png"
    assert file_name("a" * 300, "webp") == "a" * 250 + ".webp"
    assert file_name("a" * 300, "png", "-1") == "a" * 249 + "-1.png"
    assert file_name("č" * 200, "png") == "č" * 125 + ".png"


@given(pattern=PATTERN, prompt=TEXT, user=TEXT, unix=st.booleans(), suffix=TEXT)
@example(pattern="[user]", prompt="", user="../..", unix=True, suffix="")
@example(pattern="[prompt_spaces]", prompt="..\\..\\x", user="", unix=True, suffix="/..")
@example(pattern="[prompt]/[user]", prompt="/etc", user="\ud800\0", unix=False, suffix="")
@settings(max_examples=200, deadline=None)
def test_no_path_leaves_its_folder(pattern, prompt, user, unix, suffix):
    it = facts(prompt=prompt, job_prompt=prompt, user=user, sampler=prompt, model_name=user)
    rules = NameRules(unix=unix)
    words = decoration(pattern, it, rules, in_folders=True, suffix=suffix)
    name = file_name(numbered(3, words), "png")
    try:
        folder = sub_folder(pattern, it, rules)
    except InvalidRequest:
        folder = ""
    for parts in (
        PurePosixPath(folder, name).parts,
        PureWindowsPath("out", folder, name).parts[1:],
    ):
        assert ".." not in parts
        assert parts[-1] == name
    assert not folder.startswith("/")
    for part in (*folder.split("/"), name, file_name(words, "png") if words else name):
        assert len(part.encode()) <= 255  # and it has UTF-8 at all
        assert not set(part) & set("/\\\0\n")
    assert name.startswith("00003") and name.endswith(".png")
