"""Ways in which a change of options is refused, apart from a wrong type (a plain OptionError)."""

from hexfusion.domain.errors import OptionError


class UnknownOption(OptionError, KeyError):
    """No option has this key. A KeyError too, because `Options` is a mapping."""

    def __init__(self, key: str) -> None:
        super().__init__(key[:200], "no option has this name")

    __str__ = Exception.__str__  # KeyError would show the repr


class FrozenOption(OptionError):
    """A `--freeze-*` flag forbids the change. `message` is worded as A1111 words it."""
