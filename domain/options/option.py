"""One option: its key, its default, and what may be stored under it (spec api.md 17)."""

from typing import Literal

import msgspec

from hexfusion.domain.options.reasons import HELP_TEXT, INTERFACE

Kind = Literal["bool", "int", "float", "str", "list"]
OutputRule = Literal["any", "bool", "num", "str", "list"]

OptionValue = bool | int | float | str | tuple[str, ...] | None
"""What an option holds. Lists are tuples, so that a snapshot cannot change under its reader."""


class Option(msgspec.Struct, frozen=True):
    """An entry of the registry.

    `about` says what the option does; it is empty for interface-only ones. `span` (lowest,
    highest) and `choices` inform: like A1111, nothing enforces them (spec api.md 17).
    """

    key: str
    default: OptionValue
    about: str = ""
    span: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
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
    def without_effect(self) -> str:
        """Why nothing here depends on its value; empty for an option that is read."""
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
