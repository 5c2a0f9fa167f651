"""Every section of the specification that the source cites is there: docs/spec."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, project_files

SPEC = ROOT / "docs/spec"
#: "spec prompts.md 8.2", "Spec api.md section 5 and 9.1", "spec sampling.md 6.5 to 6.7, 9".
CITATION = re.compile(
    r"\bspec (\w+\.md),?(?: sections?)? (\d+(?:\.\d+)*(?:(?:, | and | to |-)\d+(?:\.\d+)*)*)", re.I
)
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)*)", re.MULTILINE)
#: Lists below a heading are counted on: 5.1.6 is the sixth entry of 5.1.
LISTS_BELOW = 1


def sections(page: str) -> set[str]:
    """The numbers of a page's headings."""
    return set(HEADING.findall((SPEC / page).read_text("utf-8")))


def citations(text: str) -> list[tuple[str, str]]:
    """(page, section) of each that a text cites; line breaks count as blanks."""
    plain = re.sub(r"\s*\n\s*#?\s*", " ", text)
    return [
        (page, number)
        for page, numbers in CITATION.findall(plain)
        for number in re.findall(r"\d+(?:\.\d+)*", numbers)
    ]


def known(page: str, number: str) -> bool:
    """Whether the page has that section, or one whose list it counts on."""
    parts = number.split(".")
    above = {".".join(parts[: len(parts) - cut]) for cut in range(LISTS_BELOW + 1)}
    return (SPEC / page).is_file() and bool(above & sections(page))


def test_every_cited_section_is_there():
    cited = 0
    wrong: list[tuple[Path, str, str]] = []
    for path in project_files():
        if path.suffix == ".py" and path != Path("tests/architecture/test_spec_citations.py"):
            for page, number in citations((ROOT / path).read_text("utf-8")):
                cited += 1
                if not known(page, number):
                    wrong.append((path, page, number))
    assert wrong == []
    assert cited > 600


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Source: spec api.md 5.1 and 6.", [("api.md", "5.1"), ("api.md", "6")]),
        ("(spec\n    sampling.md 5.1.6)", [("sampling.md", "5.1.6")]),
        ("spec prompts.md section 8.2", [("prompts.md", "8.2")]),
        ("spec images.md", []),
    ],
)
def test_citations_are_read(text: str, found: list[tuple[str, str]]):
    assert citations(text) == found


def test_a_section_that_is_not_there_would_be_seen():
    assert known("api.md", "5.1") and known("sampling.md", "5.1.6")
    assert not known("api.md", "99.1")
    assert not known("nowhere.md", "1")
