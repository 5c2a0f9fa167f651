"""What holds for every always-on script. Source: spec scripts.md 2, 3 and 14."""

import pytest

from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.selectable.registry import IMG2IMG, TXT2IMG
from hexfusion.domain.infotext import parse_infotext, write_infotext
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import arguments_from_infotext, infotext_of, read_arguments


def test_a_title_is_one_scripts():
    """In any case: a request names them so."""
    titles = [each.title.lower() for each in (*SCRIPTS, *{*TXT2IMG, *IMG2IMG})]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "script", [each for each in SCRIPTS if each.effect], ids=lambda each: each.title
)
def test_its_defaults_are_arguments_and_read_again(script):
    defaults = script.arguments()
    sent = [getattr(defaults, name) for name in script.arguments.__struct_fields__]
    assert read_arguments(script.arguments, script.title, sent) == defaults
    told = infotext_of(defaults)
    text = write_infotext("a cat", "", {"Steps": 1, "Seed": 1, **told})
    parsed = parse_infotext(text, Options())
    assert {label: parsed[label] for label in told} == {
        key: str(each) for key, each in told.items()
    }
    assert arguments_from_infotext(script.arguments, parsed) == defaults


def test_no_two_scripts_tell_under_one_label():
    labels = [label for each in SCRIPTS for label in infotext_of(each.arguments())]
    assert len(set(labels)) == len(labels)
