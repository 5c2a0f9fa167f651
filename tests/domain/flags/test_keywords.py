"""Flags by keyword are the command line that says the same."""

from pathlib import PurePosixPath

import pytest

from hexfusion.domain.flags import FlagError, arguments, parse_flags


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"no_half": True, "medvram": False, "ckpt_dir": None}, ["--no-half"]),
        ({"threads": 2}, ["--threads=2"]),
        ({"data_dir": "--odd = name"}, ["--data-dir=--odd = name"]),
        ({"data_dir": PurePosixPath("/a/b")}, ["--data-dir=/a/b"]),
        ({"styles_file": ("a.csv", "b.csv")}, ["--styles-file=a.csv", "--styles-file=b.csv"]),
        ({"use_cpu": ["all"]}, ["--use-cpu", "all"]),
        ({"ngrok_options": {"a": 1}}, ['--ngrok-options={"a": 1}']),
    ],
    ids=str,
)
def test_what_they_are_on_the_command_line(settings, words):
    assert arguments(settings) == words
    parse_flags(words, {}, absolute=lambda path: path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"half": True}, "half: no such flag; did you mean no_half?; see hexfusion --help"),
        ({"no_half": 1}, "--no-half: must be True or False, not 1"),
        ({"threads": False}, "--threads: takes a value, not False"),
        ({"threads": [1]}, "--threads: cannot be [1]"),
        ({"data_dir": {}}, "--data-dir: cannot be {}"),
        ({"use_cpu": []}, "--use-cpu: cannot be []"),
    ],
    ids=str,
)
def test_what_they_cannot_be(settings, message):
    with pytest.raises(FlagError) as refused:
        arguments(settings)
    assert str(refused.value) == message
