"""Checkpoints as the user knows them: names, hashes, titles, and how one is looked up.

Nothing here reads a file; adapters supply the values. Source: spec networks.md 1.2.
"""

import re
from collections.abc import Sequence

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint file.

    `name` is the path below the models folder with forward slashes, or the base name.
    `filename` is the absolute path. `legacy_hash` is the 8-digit hash of old infotexts.
    `sha256` is that of the whole file in lower-case hex, None until it has been computed.
    `config` is the path of the sibling `.yaml`, if there is one.
    """

    name: str
    filename: str
    legacy_hash: str = "NOFILE"
    sha256: str | None = None
    config: str | None = None

    @property
    def model_name(self) -> str:
        """The name written into infotext: slashes become underscores, the extension is removed."""
        return _without_extension(self.name).replace("/", "_").replace("\\", "_")

    @property
    def name_for_extra(self) -> str:
        """The base name without extension."""
        return _without_extension(re.split(r"[/\\]", self.name)[-1])

    @property
    def shorthash(self) -> str | None:
        """The first ten digits of the sha256, None while it is unknown."""
        return self.sha256[:10] if self.sha256 else None

    @property
    def title(self) -> str:
        """`name [shorthash]`, or `name` while the hash is unknown."""
        return _with_hash(self.name, self.shorthash)

    @property
    def short_title(self) -> str:
        """`name_for_extra [shorthash]`, or `name_for_extra` while the hash is unknown."""
        return _with_hash(self.name_for_extra, self.shorthash)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every text that identifies this checkpoint (case-sensitive, exact match)."""
        always = (
            self.legacy_hash,
            self.model_name,
            self.title,
            self.name,
            self.name_for_extra,
            f"{self.name} [{self.legacy_hash}]",
        )
        if self.sha256 is None or self.shorthash is None:
            return always
        return (*always, self.shorthash, self.sha256, self.short_title)


def find(checkpoints: Sequence[Checkpoint], name: str) -> Checkpoint | None:
    """The checkpoint with exactly this alias, or None; of several, the last listed."""
    return next((each for each in reversed(checkpoints) if name in each.aliases), None)


def find_closest(checkpoints: Sequence[Checkpoint], text: str) -> Checkpoint | None:
    """The checkpoint that a refiner or hires-fix field names, None if there is none.

    Tried in this order: an exact alias; the shortest title that contains the text; the shortest
    title that contains the text without a trailing ` [...]` (a hash from another machine).
    """
    exact = find(checkpoints, text)
    if exact is not None:
        return exact
    for wanted in (text, re.sub(r"\s*\[[^\[\]]*\]\s*$", "", text)):
        titled = [each for each in checkpoints if wanted and wanted in each.title]
        if titled:
            return min(titled, key=lambda each: len(each.title))
    return None


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that ignores case and compares runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", text.lower())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)


def _without_extension(name: str) -> str:
    return re.sub(r"\.[^./\\]*$", "", name)


def _with_hash(name: str, shorthash: str | None) -> str:
    return f"{name} [{shorthash}]" if shorthash else name
