"""Styles: parses style files, applies styles to a prompt, recognises styles in a prompt.

Source: spec prompts.md sections 4.2 to 4.4. Works on the text of files; reading and writing them is
the storage adapter's task.
"""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from hexfusion.domain.errors import HexfusionError, InvalidRequest

_SLOT = "{prompt}"
_COLUMNS = ("name", "prompt", "negative_prompt")


class StyleFileError(HexfusionError):
    """The text of a styles file is not a table of styles."""


class Style(msgspec.Struct, frozen=True):
    """A named pair of texts. A divider between files in listings has None for both."""

    name: str
    prompt: str | None = ""
    negative_prompt: str | None = ""


class RecognisedStyles(msgspec.Struct, frozen=True):
    """Names of the styles found in a prompt, in the order they were applied, and the prompts
    without them."""

    names: tuple[str, ...]
    prompt: str
    negative_prompt: str


def parse_styles(text: str) -> tuple[Style, ...]:
    """Read the CSV text of a styles file (a byte order mark is skipped).

    Names beginning with `#` are left out. Of equal names the last wins, at the first one's place.
    Raises StyleFileError if there is no `name` column or the CSV cannot be read.
    """
    rows = csv.DictReader(
        io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True
    )
    try:
        columns = rows.fieldnames or ()
        if columns and "name" not in columns:
            raise StyleFileError(f"no column 'name' among {', '.join(columns)}")
        prompt = "prompt" if "prompt" in columns else "text"  # the name it had in old files
        styles = {
            row["name"]: Style(row["name"], row.get(prompt) or "", row.get(_COLUMNS[2]) or "")
            for row in rows
            if row["name"] and not row["name"].startswith("#")
        }
    except csv.Error as error:
        raise StyleFileError(f"line {rows.line_num}: {error}") from error
    return tuple(styles.values())


def format_styles(styles: Iterable[Style]) -> str:
    """Write the CSV text of a styles file, dividers left out. Encode it with a byte order mark."""
    out = io.StringIO(newline="")
    # All quoted, since readers drop unquoted leading white space.
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for style in styles:
        if style.prompt is not None:
            writer.writerow((style.name, style.prompt, style.negative_prompt))
    return out.getvalue()


def divider(file_stem: str) -> Style:
    """The separator listed before the styles of each file if there are several files."""
    return Style(f" {file_stem.upper()} ".center(40, "-"), None, None)


def apply_styles(
    prompt: str,
    negative_prompt: str,
    names: Sequence[str],
    styles: Iterable[Style],
    *,
    most: int | None = None,
) -> tuple[str, str]:
    """Apply the named styles to (prompt, negative prompt), one after the other.

    A name that is not in `styles` counts as an empty style, which only strips white space. Without
    names nothing changes. A style that has the prompt in it twice doubles it: raises
    `InvalidRequest` as soon as a prompt grows to more than `most` characters.
    """
    known = {style.name: style for style in styles}
    for name in names:
        style = known.get(name, Style(name))
        prompt = _wrap(style.prompt or "", prompt)
        negative_prompt = _wrap(style.negative_prompt or "", negative_prompt)
        if most is not None and max(len(prompt), len(negative_prompt)) > most:
            message = f"{name!r} makes a prompt longer than {most} characters (--prompt-size)"
            raise InvalidRequest("styles", message)
    return prompt, negative_prompt


def recognise_styles(
    prompt: str, negative_prompt: str, styles: Sequence[Style]
) -> RecognisedStyles:
    """Find the styles that were applied to the prompts, and remove them.

    Each style is found at most once, and only if both of its texts are present.
    """
    left = [style for style in styles if style.prompt or style.negative_prompt]
    found: list[str] = []
    while True:
        for style in left:
            without = _unwrap(style.prompt or "", prompt)
            negative_without = _unwrap(style.negative_prompt or "", negative_prompt)
            if without is not None and negative_without is not None:
                prompt, negative_prompt = without, negative_without
                found.append(style.name)
                left.remove(style)
                break
        else:
            return RecognisedStyles(tuple(reversed(found)), prompt, negative_prompt)


def _wrap(style: str, prompt: str) -> str:
    if _SLOT in style:
        return style.replace(_SLOT, prompt)
    return ", ".join(text for text in (prompt.strip(), style.strip()) if text)


def _unwrap(style: str, prompt: str) -> str | None:
    """The prompt without the style's text, or None if it does not contain it."""
    style, prompt = style.strip(), prompt.strip()
    if _SLOT in style:
        left, _, right = style.partition(_SLOT)
        fits = len(prompt) >= len(left) + len(right)
        if fits and prompt.startswith(left) and prompt.endswith(right):
            return prompt[len(left) : len(prompt) - len(right)]
        return None
    if prompt.endswith(style):
        return prompt[: len(prompt) - len(style)].removesuffix(", ")
    return None
