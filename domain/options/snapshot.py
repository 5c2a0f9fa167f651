"""`Options`: an immutable snapshot of all option values."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hexfusion.domain.options.coercion import coerce
from hexfusion.domain.options.errors import UnknownOption
from hexfusion.domain.options.judging import judge_together
from hexfusion.domain.options.option import Option, OptionValue
from hexfusion.domain.options.registry import CALLBACK_ORDER, REGISTRY, find_option


def known_option(key: str) -> Option:
    """The option called `key`; raises UnknownOption."""
    option = find_option(key)
    if option is None:
        raise UnknownOption(key)
    return option


class Options(Mapping[str, OptionValue]):
    """An immutable snapshot: every option's stored value, or else its default.

    A job takes one when it starts and keeps it, so what another client changes meanwhile cannot
    reach it. `options["jpeg_quality"]` raises UnknownOption (a KeyError) for a key that does not
    exist. Iterating yields the registered keys in order of registration.
    """

    __slots__ = ("_overridden", "_stored")

    def __init__(self, stored: Mapping[str, object] = MappingProxyType({})) -> None:
        """`stored` is coerced and judged (OptionError, UnknownOption); null means the default."""
        self._stored: dict[str, OptionValue] = {}
        self._overridden: frozenset[str] = frozenset()
        self._store(_coerced(stored))

    @property
    def stored(self) -> Mapping[str, OptionValue]:
        """The explicitly stored values, a read-only mapping without nulls."""
        return MappingProxyType(self._stored)

    def updated(self, changes: Mapping[str, object]) -> "Options":
        """These options with `changes` stored; null takes a key back to its default.

        An unknown key is an error unless its value is null (spec api.md 13.2). Explanations keep
        their text, and nothing is stored for options of other servers. Raises OptionError for a
        value that is not admitted, or that does not go with another's.
        """
        options = Options.__new__(Options)
        options._overridden = self._overridden
        options._stored = self._stored
        options._store(_coerced(changes))
        return options

    def _store(self, changes: dict[str, OptionValue]) -> None:
        self._stored = _without_nulls({**self._stored, **changes})
        judge_together(self, changes)

    def with_overrides(self, overrides: Mapping[str, object]) -> "Options":
        """These options as one request sees them, given its `override_settings`.

        Source: spec api.md 5.3. API-restricted keys are skipped silently, and so is null: it means
        "not overridden". Raises UnknownOption and OptionError.
        """
        named = {key: value for key, value in overrides.items() if value is not None}
        allowed = {k: v for k, v in named.items() if not known_option(k).api_restricted}
        options = self.updated(allowed)
        options._overridden = frozenset((*self._overridden, *allowed))
        return options

    def overridden(self, key: str) -> bool:
        """Whether the request that these are the options of names `key` itself."""
        return key in self._overridden

    def ignored(self) -> dict[str, str]:
        """Stored options without effect that differ from their defaults, with the reason.

        Options of callbacks, whose names are not fixed, are one entry.
        """
        ignored = {}
        for key, value in self._stored.items():
            option = known_option(key)
            if option.without_effect and value != option.default:
                name = key if key in REGISTRY else f"{CALLBACK_ORDER}*"
                ignored[name] = option.without_effect
        return ignored

    def __getitem__(self, key: str) -> OptionValue:
        if key in self._stored:
            return self._stored[key]
        option = known_option(key)
        return self._stored.get(option.key, option.default)

    def __iter__(self) -> Iterator[str]:
        return iter(REGISTRY)

    def __len__(self) -> int:
        return len(REGISTRY)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and self._stored == other._stored

    def __hash__(self) -> int:
        return hash(frozenset(self._stored.items()))

    def __repr__(self) -> str:
        return f"Options({self._stored!r})"

    def flag(self, key: str) -> bool:
        """The value of a boolean option."""
        return bool(self[key])

    def integer(self, key: str) -> int:
        """The value of an integer option."""
        value = self[key]
        assert isinstance(value, int), f"{key} is no integer option"
        return value

    def number(self, key: str) -> float:
        """The value of a numeric option, as a float."""
        value = self[key]
        assert isinstance(value, int | float), f"{key} is no numeric option"
        return float(value)

    def text(self, key: str) -> str:
        """The value of a text option; null counts as empty."""
        value = self[key]
        assert value is None or isinstance(value, str), f"{key} is no text option"
        return value or ""

    def texts(self, key: str) -> tuple[str, ...]:
        """The value of a list option."""
        value = self[key]
        assert isinstance(value, tuple), f"{key} is no list option"
        return value


def _coerced(values: Mapping[str, object]) -> dict[str, OptionValue]:
    """By the options' own keys; where one is given under another name too, its own counts."""
    coerced: dict[str, OptionValue] = {}
    aliased: dict[str, OptionValue] = {}
    for key, value in values.items():
        if value is None and find_option(key) is None:
            continue
        option = known_option(key)
        if not option.unstorable:
            (coerced if key == option.key else aliased)[option.key] = coerce(option, value)
    return aliased | coerced


def _without_nulls(values: dict[str, OptionValue]) -> dict[str, OptionValue]:
    return {key: value for key, value in values.items() if value is not None}
