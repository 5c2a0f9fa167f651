"""Writes docs/options.md: every option, its default, and what it does here.

`python -m tools.options_page` from the root of the project. The registry tells everything; a test
holds the page to it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from hexfusion.domain.options import SECTIONS, Option

PAGE = Path(__file__).resolve().parents[1] / "docs/options.md"

_HEAD = """\
# Options

What `GET /sdapi/v1/options` lists and `POST /sdapi/v1/options` sets, and what
`override_settings` sets for one request. Written by `python -m tools.options_page` from the
registry of options; do not edit.

An option without effect is stored and echoed like any other. Whoever sets one to other than its
default, in the settings file, over the API or for a request, finds it named in the log, once.
"""


def page() -> str:
    """The page as Markdown."""
    options = [option for section in SECTIONS for option in section.options]
    read = [option for option in options if not option.without_effect]
    others = [option for option in options if option.without_effect]
    return "\n".join(
        (
            _HEAD,
            f"## With effect ({len(read)})",
            "",
            *_table("what it does", ((option, option.about) for option in read)),
            "",
            f"## Without effect ({len(others)})",
            "",
            *_table("why", ((option, option.without_effect) for option in others)),
            "",
        )
    )


def _table(title: str, rows: Iterable[tuple[Option, str]]) -> Iterator[str]:
    yield f"| option | default | {title} |"
    yield "|---|---|---|"
    for option, told in rows:
        default = "a text" if option.explanation else f"`{json.dumps(option.default)}`"
        yield f"| `{option.key}` | {_cell(default)} | {_cell(told)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
