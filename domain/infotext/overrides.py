"""Reads option values out of infotext (spec prompts.md 8.7).

The options registry defines the infotext label of each option.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.options import REGISTRY, Option, OptionValue, find_option

MODEL_HASH = "Model hash"
"""The label of the checkpoint option, which `disable_weights_auto_swap` guards."""

OVERRIDE_LABELS: Mapping[str, Option] = MappingProxyType(
    {option.infotext: option for option in REGISTRY.values() if option.infotext}
)

_WRITTEN_AS = {
    "Beta schedule alpha": "Beta scheduler alpha",
    "Beta schedule beta": "Beta scheduler beta",
}
"""Labels that infotext writes, and the options' labels for them. A1111 fails to read them back."""


def read_override(label: str, text: object, current: OptionValue = None) -> OptionValue:
    """A value from infotext as the type of its label's option.

    Booleans are true unless the text is `False` or empty. An option without default takes its type
    from its `current` value; without that either, the result is None.
    Raises InvalidRequest if the text does not fit the type, KeyError if there is no such label.
    """
    option = OVERRIDE_LABELS[label]
    if option.default is None and current is None:
        return None
    try:
        match option.kind:
            case "bool":
                return text != "False" and bool(text)
            case "int":
                return int(str(text))
            case "float":
                return _finite(str(text))
            case _:
                return str(text)
    except ValueError:
        message = f"{label}: {str(text)[:80]!r} is not {_EXPECTED_TYPE[option.kind]}"
        raise InvalidRequest("infotext", message) from None


def overrides_from_texts(
    texts: Iterable[str], current: Mapping[str, OptionValue] = MappingProxyType({})
) -> dict[str, OptionValue]:
    """Option values from `Label: value` texts; unknown labels are left out."""
    pairs = (text.split(":", maxsplit=1) for text in texts if ":" in text)
    return _read({label.strip(): value.strip() for label, value in pairs}, current)


def overrides_from_infotext(
    parsed: Mapping[str, object],
    current: Mapping[str, OptionValue],
    given: Collection[str] = (),
) -> dict[str, OptionValue]:
    """What the request field `infotext` adds to `override_settings` (spec prompts.md 8.6).

    `parsed` is the result of `parse_infotext`, `current` the present options, and `given` the
    keys of the request's own `override_settings`, which take precedence. Values equal to current
    ones are left out, as is the model while `disable_weights_auto_swap` is on.
    """
    given = {option.key for option in map(find_option, given) if option}
    keep_model = bool(current.get("disable_weights_auto_swap"))
    parsed = {_WRITTEN_AS.get(label, label): value for label, value in parsed.items()}
    wanted = {
        label: parsed[label]
        for label, option in OVERRIDE_LABELS.items()
        if label in parsed and option.key not in given and not (keep_model and label == MODEL_HASH)
    }
    return {k: v for k, v in _read(wanted, current).items() if v != current.get(k)}


_EXPECTED_TYPE = {"int": "an integer", "float": "a number"}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _read(
    values: Mapping[str, object], current: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    return {
        option.key: read_override(label, values[label], current.get(option.key))
        for label, option in OVERRIDE_LABELS.items()
        if label in values
    }
