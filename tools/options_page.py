"""Writes docs/options.md: every option, its default, and what it does here.

`python -m tools.options_page` from the root of the project. The registry tells everything; a test
holds the page to it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from hexfusion.domain.options import SECTIONS, Option, expected
from hexfusion.domain.options.option import ITEM_LENGTH, LIST_ITEMS

PAGE = Path(__file__).resolve().parents[1] / "docs/options.md"

_HEAD = """\
# Options

What `GET /sdapi/v1/options` lists and `POST /sdapi/v1/options` sets, and what
`override_settings` sets for one request. Written by `python -m tools.options_page` from the
registry of options; do not edit.

What is set is judged at once, by one rule for the API, for `override_settings`, and for the
settings file (docs/adr/0023-options-are-judged-when-they-are-set.md): its type, and what the column
"admitted" says. A text has at most {text} characters, a list {items} entries of {item} characters,
and all stored options together `--settings-size` KiB. What is not admitted is refused with 422; in
the settings file it is told in the log, and the default holds.

A folder or file that an option names must lie inside of the data folder, or inside of a folder that
the settings file named when the server started.

Options of other servers and of A1111's extensions (`forge_*`, SD.Next's, ControlNet's) are accepted
and told in the log once; nothing is stored under them. An option that nobody knows is refused with
422.

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
            _HEAD.format(text=Option("", "").longest, items=LIST_ITEMS, item=ITEM_LENGTH),
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
    yield f"| option | default | admitted | {title} |"
    yield "|---|---|---|---|"
    for option, told in rows:
        default = "a text" if option.explanation else f"`{json.dumps(option.default)}`"
        cells = (default, _admitted(option), told)
        yield f"| `{option.key}` | {' | '.join(map(_cell, cells))} |"


def _admitted(option: Option) -> str:
    """What may be stored, where its type does not say it all, and what else is taken for it."""
    told = [expected(option)]
    if option.admitted and (option.low_is_lowest or option.high_is_highest):
        low, high = option.admitted
        told += [f"below counts as {low:g}"] if option.low_is_lowest else []
        told += [f"above counts as {high:g}"] if option.high_is_highest else []
    if option.any_case:
        told.append("in any case")
    if option.longest != Option("", "").longest:
        told.append(f"at most {option.longest} characters")
    told += [f"also set as `{alias}`" for alias in option.aliases]
    return "; ".join(filter(None, told))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
