"""Script arguments: positional lists are read into structs, and structs listed and written.

A struct has its fields in the order of the list, each annotated with its `Control` in A1111's form.
Source: spec scripts.md 1, 3; api.md 8.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

import msgspec

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.scripts.form import Number, ScriptArgument

FIELD = "script_args"


class _InInfotext(msgspec.Struct, frozen=True, kw_only=True):
    infotext: str = ""


class Control(_InInfotext, frozen=True):
    """The form control of an argument. This base accepts any value; the script checks it.

    `infotext` is the label of the value's infotext entry; "" for none.
    """

    label: str

    def read(self, value: object) -> object:
        """The argument's value from a JSON value. Raises `ValueError(what it must be)`."""
        return value

    def written(self, text: str) -> object:
        """The value of an infotext entry, still to be checked by `read`."""
        return text

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        """The listed argument; `choices`, known only to the server, replace its own."""
        return ScriptArgument(self.label, default)


class Note(Control, frozen=True):
    """A text in the form, which takes a position in the list; its value is ignored."""

    label: str = ""


class Switch(Control, frozen=True):
    """On or off."""

    def read(self, value: object) -> bool:
        if value is None or isinstance(value, bool | int | float):
            return bool(value)
        raise ValueError("true or false")

    def written(self, text: str) -> bool:
        return text != "False"


class Slider(Control, frozen=True):
    """A number. A form offers `minimum` to `maximum`; values up to `most` are accepted."""

    minimum: Number
    maximum: Number
    step: Number
    most: Number | None = None

    def read(self, value: object) -> Number:
        most = self.maximum if self.most is None else self.most
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a number")
        if not self.minimum <= value <= most:
            raise ValueError(f"from {self.minimum} to {most}")
        return value

    def written(self, text: str) -> Number:
        return _number(text)

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        return ScriptArgument(self.label, default, self.minimum, self.maximum, self.step)


class Whole(Slider, frozen=True):
    """A whole number."""

    def read(self, value: object) -> int:
        number = super().read(value)
        if number != int(number):
            raise ValueError("a whole number")
        return int(number)


class NumberBox(Control, frozen=True):
    """A whole number without bounds."""

    def read(self, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("a whole number")
        return value

    def written(self, text: str) -> Number:
        return _number(text)

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        return ScriptArgument(self.label, default, step=1)


def _number(text: str) -> Number:
    """The number in a text. Raises `ValueError(what it must be)`."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    raise ValueError("a number")


class Text(Control, frozen=True):
    """Any text."""

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("a text")
        return value


class Choice(Control, frozen=True):
    """One of the choices, by its text; if `numbered` also by its index, or without case.

    A default of None is the first choice. `among` names choices that only the server knows, such as
    "upscalers"; the script checks their value.
    """

    choices: tuple[str, ...] = ()
    numbered: bool = False
    among: str = ""

    def read(self, value: object) -> object:
        if self.numbered:
            return self._numbered(value)
        if self.among and isinstance(value, str):
            return value
        if value not in self.choices:
            raise ValueError(f"one of {self.among or ', '.join(self.choices)}")
        return value

    def _numbered(self, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("a number of the list, or a name")
        return value if not self.choices else chosen(value, self.choices)

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        offered = tuple(choices or self.choices)
        if default is None and offered:
            default = offered[0]
        return ScriptArgument(self.label, default, choices=offered)


class Several(Control, frozen=True):
    """A list of some of the choices."""

    choices: tuple[str, ...] = ()

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not set(map(str, value)) <= set(self.choices):
            raise ValueError(f"a list of {', '.join(self.choices)}")
        return tuple(each for each in self.choices if each in value)

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        return ScriptArgument(self.label, default, choices=self.choices)


def chosen(value: object, choices: Sequence[str]) -> str:
    """The choice of that index, or of that text without case.

    Raises `ValueError(what it must be)`.
    """
    if isinstance(value, str):
        for each in choices:
            if each.lower() == value.lower():
                return each
        raise ValueError(f"one of {', '.join(choices)}")
    if isinstance(value, int | float) and value == int(value) and 0 <= value < len(choices):
        return choices[int(value)]
    raise ValueError(f"from 0 to {len(choices) - 1}")


class Arguments(msgspec.Struct, frozen=True):
    """Arguments of one script. Each field is annotated with its `Control`."""


A = TypeVar("A", bound=Arguments)


def read_arguments(
    kind: type[A],
    title: str,
    given: Sequence[object],
    *,
    field: str = FIELD,
    missing: A | None = None,
) -> A:
    """Read a positional list into a struct; extra values are ignored, as in A1111 (spec api.md 8).

    `missing` has the values of arguments that the list leaves out at its end; without it, all must
    be given. Raises `InvalidRequest(field, ...)` naming the first wrong argument, or for too few.
    """
    controls = controls_of(kind)
    if missing is None and len(given) < len(controls):
        labels = ", ".join(control.label or "(anything)" for _, control in controls)
        message = f"{title} takes {len(controls)}: {labels}; {len(given)} came"
        raise InvalidRequest(field, message)
    values = {} if missing is None else msgspec.structs.asdict(missing)
    for number, ((name, control), value) in enumerate(zip(controls, given, strict=False)):
        try:
            values[name] = control.read(value)
        except (ValueError, OverflowError) as error:
            raise wrong(title, number, control.label, str(error), value, field) from error
    return kind(**values)


def wrong(
    title: str, number: int, label: str, wanted: str, value: object, field: str = FIELD
) -> InvalidRequest:
    """The error for argument `number`, from 0, that must be `wanted`."""
    shown = repr(value)[:80]
    return InvalidRequest(field, f"{title}: [{number}] {label} must be {wanted}, not {shown}")


def form_of(
    kind: type[Arguments], lists: Mapping[str, Sequence[str]]
) -> tuple[ScriptArgument, ...]:
    """The arguments as listed; `lists` has choices known only to the server, by `Choice.among`."""
    defaults = {each.name: each.default for each in msgspec.structs.fields(kind)}
    return tuple(
        control.argument(
            defaults[name], lists.get(control.among) if isinstance(control, Choice) else None
        )
        for name, control in controls_of(kind)
    )


def infotext_of(arguments: Arguments) -> dict[str, Any]:
    """The infotext entries of the arguments, by label, in their order."""
    controls = controls_of(type(arguments))
    return {
        control.infotext: getattr(arguments, name) for name, control in controls if control.infotext
    }


def arguments_from_infotext(kind: type[A], entries: Mapping[str, object]) -> A:
    """The arguments in the infotext `entries`; missing ones have their defaults.

    Raises `InvalidRequest("infotext", ...)` naming the label with a wrong value.
    """
    values = {}
    for name, control in controls_of(kind):
        if control.infotext and control.infotext in entries:
            text = str(entries[control.infotext])
            try:
                values[name] = control.read(control.written(text))
            except (ValueError, OverflowError) as error:
                message = f"{control.infotext}: {text[:80]!r} is not {error}"
                raise InvalidRequest("infotext", message) from error
    return kind(**values)


@lru_cache(256)  # bounded, as some structs are made at run time
def controls_of(kind: type[Arguments]) -> tuple[tuple[str, Control], ...]:
    """(field name, control) of each argument, in order."""
    hints = get_type_hints(kind, include_extras=True)
    controls = []
    for name in kind.__struct_fields__:
        hint = hints[name]
        assert get_origin(hint) is Annotated, f"{kind.__name__}.{name} has no control"
        controls.append((name, hint.__metadata__[0]))
    return tuple(controls)
