"""Scripts as clients list them. Source: spec scripts.md 3."""

import msgspec

Number = int | float


class ScriptArgument(msgspec.Struct, frozen=True):
    """A listed argument. Fields that do not apply to its kind are None."""

    label: str
    value: bool | int | float | str | tuple[str, ...] | None
    minimum: Number | None = None
    maximum: Number | None = None
    step: Number | None = None
    choices: tuple[str, ...] | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A listed script. `arguments` is None for one without a form (spec scripts.md 3)."""

    name: str
    always_on: bool = True
    of_pictures: bool = False  # image-to-image's
    arguments: tuple[ScriptArgument, ...] | None = ()
