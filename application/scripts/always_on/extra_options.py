"""Extra options: options as arguments. Source: spec scripts.md 14.

Options `extra_options_txt2img` and `extra_options_img2img` name the keys: each is an argument, in
their order, and becomes an override of the request's.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import msgspec

from hexfusion.application.scripts.always_on.script import AlwaysOn, Asked, Effect
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.options import Options, find_option
from hexfusion.domain.scripts import Arguments, ScriptArgument
from hexfusion.domain.scripts.arguments import Control, controls_of
from hexfusion.domain.scripts.form import Number


class OptionControl(Control, frozen=True):
    """The control of an option. Any value is accepted here; the option checks it.

    It is listed with `value`, the option's current value.
    """

    key: str
    value: Any = None
    minimum: Number | None = None
    maximum: Number | None = None
    choices: tuple[str, ...] | None = None

    def argument(self, default: Any, choices: Sequence[str] | None) -> ScriptArgument:
        return ScriptArgument(
            self.label, self.value, self.minimum, self.maximum, choices=self.choices
        )


def extra_options(kind: type[AnyRequest], options: Options) -> type[Arguments]:
    """The arguments that the options name for requests of that kind; UNSET by default."""
    if kind is Img2Img:
        keys = options.texts("extra_options_img2img")
    else:
        keys = options.texts("extra_options_txt2img")
    fields = [
        (f"option_{number}", Annotated[object, _control(key, options)], msgspec.UNSET)
        for number, key in enumerate(keys)
    ]
    struct = msgspec.defstruct("ExtraOptions", fields, bases=(Arguments,), frozen=True)
    return cast(type[Arguments], struct)


def _control(key: str, options: Options) -> OptionControl:
    option = find_option(key)
    if option is None:
        return OptionControl(key, key)
    low, high = option.span or (None, None)
    choices = option.choices or None
    return OptionControl(option.about or key, key, options[key], low, high, choices)


class _Overriding(Effect[None]):
    """Overrides the options. Those left out are unchanged; A1111 resets them to their values at
    start."""

    def overrides(self, arguments: Arguments) -> Mapping[str, object]:
        values = (
            (control, getattr(arguments, name)) for name, control in controls_of(type(arguments))
        )
        return {
            control.key: value
            for control, value in values
            if isinstance(control, OptionControl) and value is not msgspec.UNSET
        }

    def read(self, arguments: Arguments, asked: Asked) -> None:
        """None: all is done by `overrides`."""
        return None


SCRIPT = AlwaysOn("Extra options", declare=extra_options, effect=_Overriding())
