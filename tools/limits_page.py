"""Writes docs/limits.md: every flag that bounds something, its default, and what it bounds.

`python -m tools.limits_page` from the root of the project. The registry of flags tells everything;
a test holds the page to it.
"""

from collections.abc import Iterator
from pathlib import Path

from hexfusion.domain.flags import LIMITS, Flag

PAGE = Path(__file__).resolve().parents[1] / "docs/limits.md"

_HEAD = """\
# Limits

What the server takes, keeps and spends is bounded, each bound by a flag. The values in force stand
in `/openapi.json`, under `info.x-limits`. Written by `python -m tools.limits_page` from the
registry of flags; do not edit.

| flag | default | of what |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for flag in LIMITS:
        yield f"| `{flag.option}` | {_default(flag)} | {flag.help} |\n".replace("||", "\\|\\|")


def _default(flag: Flag) -> str:
    return "none" if flag.default is None else f"{flag.default} {flag.unit}".rstrip()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
