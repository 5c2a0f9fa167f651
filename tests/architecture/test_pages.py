"""What pages name is there: modules and tests, links, and commands of ours."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, project_files

PAGES = [
    path
    for path in project_files()
    if path.suffix == ".md" and path.parts[:2] not in {("docs", "spec"), ("tests", "golden")}
]
FILES = {f"/{path.as_posix()}" for path in project_files()}


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", (ROOT / path).read_text("utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_modules_that_a_page_names_are_there(page: Path):
    named = re.findall(r"`((?:[\w.-]+/)*\w+\.py)(?:::\w+)?`", prose(page))
    assert not [name for name in named if not any(file.endswith(f"/{name}") for file in FILES)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_pages_that_a_page_links_are_there(page: Path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(page))
    assert not [each for each in links if not (ROOT / page.parent / each).exists()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_commands_that_a_page_names_are_there(page: Path):
    modules = re.findall(r"python -m ((?:benchmarks|tools|tests)\.[\w.]+)", prose(page))
    files = {f"/{each.rstrip('.').replace('.', '/')}" for each in modules}
    assert not [each for each in files if not {f"{each}.py", f"{each}/__main__.py"} & FILES]


def test_there_are_pages():
    assert len(PAGES) > 25
