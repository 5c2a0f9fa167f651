"""One option: its key, its default, and what may be stored under it (spec api.md 17)."""

from typing import Literal

import msgspec

from hexfusion.domain.options.reasons import HELP_TEXT, INTERFACE

Kind = Literal["bool", "int", "float", "str", "list"]
OutputRule = Literal["any", "bool", "num", "str", "list"]

Form = Literal["text", "colour", "folder", "file", "sub-folders"]
"""`folder` and `file` are paths, which clients may choose inside of the archive only (ADR 6, 23);
`sub-folders` is a pattern of folders below one."""

PICTURE_FORMATS = ("png", "jpg", "jpeg", "webp")
"""The formats that pictures are written and sent in (spec api.md 7.2)."""

LIST_ITEMS = 1000
"""Entries of a list, at most."""
ITEM_LENGTH = 1024
"""Characters of each, at most."""

OptionValue = bool | int | float | str | tuple[str, ...] | None
"""What an option holds. Lists are tuples, so that a snapshot cannot change under its reader."""


class Option(msgspec.Struct, frozen=True):
    """An entry of the registry.

    `about` says what the option does; it is empty for interface-only ones. What may be stored is
    said by the fields from `span` to `at_most`, and judged by `judging` (ADR 23).
    """

    key: str
    default: OptionValue
    about: str = ""
    span: tuple[float, float] | None = None
    """The ends of A1111's slider (spec api.md 17), which its controls are listed with."""
    bounds: tuple[float, float] | None = None
    """(lowest, highest) number admitted, where that is not `span`: a number outside of the slider
    has a meaning in A1111 too and does no harm."""
    also: tuple[int, ...] = ()
    """Numbers admitted besides, such as 0 where that switches something off."""
    low_is_lowest: bool = False
    """A lower number counts as the lowest admitted, because it means the same in A1111; otherwise
    it is refused."""
    high_is_highest: bool = False
    """Likewise for a higher number."""
    choices: tuple[str, ...] = ()
    """The texts admitted; of a list, what may stand in it."""
    open_choices: bool = False
    """There are more choices than those listed, by installation, so that they only inform."""
    any_case: bool = False
    """A choice may be written in capitals; it is stored as listed."""
    otherwise: str = ""
    """The choice that every other text means, because it means that in A1111 too."""
    synonyms: tuple[tuple[str, str], ...] = ()
    """(another word for a choice, the choice)."""
    refused: tuple[tuple[str, str], ...] = ()
    """(choice of A1111 that this server does not have, why)."""
    form: Form = "text"
    """What a text must be."""
    longest: int = 4096
    """Characters of a text, at most."""
    at_most: tuple[str, float] | None = None
    """(key of another option, factor): this number is at most the other's times the factor,
    unless one of the two is 0, which means none."""
    aliases: tuple[str, ...] = ()
    """Keys by which other servers know the option."""
    foreign: str = ""
    """The other server or extension that the option belongs to: nothing is stored under it, and
    it is not listed."""
    infotext: str = ""
    """The label under which infotext carries this option, if it does."""
    numeric: Literal["int", "float"] = "int"
    """What an integer default stands for: one option takes fractions, though its default is 1."""
    api_restricted: bool = False
    """Only the settings file may set it; writes through the API are ignored."""
    path_locked: bool = False
    """`--hide-ui-dir-config` makes writes through the API ignored."""
    explanation: bool = False
    """A pseudo-option: its value is a help text, and nothing can be stored under it."""
    interface_only: bool = False
    """Kept and echoed for clients with a user interface; a headless server never reads it."""
    no_effect: str = ""
    """Why nothing here depends on it, though it is kept and echoed; empty where something does."""
    web_ui_only: bool = False
    """Listed only where the web UI runs; an API-only server accepts it but does not show it."""

    @property
    def kind(self) -> Kind:
        """The type of stored values. An option whose default is null holds text."""
        match self.default:
            case bool():
                return "bool"
            case int():
                return self.numeric
            case float():
                return "float"
            case tuple():
                return "list"
            case _:
                return "str"

    @property
    def admitted(self) -> tuple[float, float] | None:
        """The lowest and the highest number that may be stored; None for no bound of its own."""
        return self.bounds or self.span

    @property
    def is_path(self) -> bool:
        """Whether it names a folder or file on the server."""
        return self.form in ("folder", "file")

    @property
    def unstorable(self) -> bool:
        """Whether what is set under it is left out instead of stored."""
        return self.explanation or bool(self.foreign)

    @property
    def without_effect(self) -> str:
        """Why nothing here depends on its value; empty for an option that is read."""
        if self.foreign:
            return f"it is an option of {self.foreign}"
        if self.interface_only:
            return INTERFACE
        return HELP_TEXT if self.explanation else self.no_effect

    @property
    def output_rule(self) -> OutputRule:
        """How `GET /options` types a stored value: `any` when the default is falsy (13.1)."""
        if not self.default:
            return "any"
        kind = self.kind
        return "num" if kind == "int" or kind == "float" else kind


class Section(msgspec.Struct, frozen=True):
    """Options that belong together. `id` is what `--freeze-settings-in-sections` names.

    Options that A1111 registers outside any section have an empty id. An id may occur more than
    once, because the order of registration is the order of `GET /options`.
    """

    id: str
    title: str
    options: tuple[Option, ...]
