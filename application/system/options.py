"""Use-cases: read and change the server's options (spec api.md 13)."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.options import REGISTRY, Options, OptionValue, WritePolicy, find_option

CHECKPOINT = "sd_model_checkpoint"

_log = logging.getLogger("hexfusion.options")

JsonOption = bool | int | float | str | list[str] | None


def _nothing(options: Options) -> Mapping[str, OptionValue]:
    return {}


def _unchecked(options: Options, present: Options) -> None:
    """For stores without folders."""


class ReadOptions:
    """The data of `GET /options`."""

    def __init__(
        self,
        store: OptionsStore,
        *,
        live: Callable[[Options], Mapping[str, OptionValue]] = _nothing,
        web_ui: bool = False,
    ) -> None:
        """`live` returns values known only at run time, which replace the stored ones:
        `sd_model_checkpoint` (the full title) and `sd_checkpoint_hash`. With `web_ui` the options
        that extensions add to A1111's web UI are listed too.
        """
        self._store = store
        self._live = live
        self._keys = [key for key, option in REGISTRY.items() if web_ui or not option.web_ui_only]

    def __call__(self) -> dict[str, JsonOption]:
        """Every listed option in order of registration.

        Stored numbers are shown as floats where the default is a non-zero number, but an untouched
        default as it is: `80` until somebody stores `80`, then `80.0` (spec api.md 13.1).
        """
        options = self._store.snapshot()
        shown = {**options.stored, **self._live(options)}
        return {
            key: _typed(key, shown[key]) if key in shown else _json(REGISTRY[key].default)
            for key in self._keys
        }


def _typed(key: str, value: OptionValue) -> JsonOption:
    if REGISTRY[key].output_rule == "num" and isinstance(value, int):
        return float(value)
    return _json(value)


def _json(value: OptionValue) -> JsonOption:
    return list(value) if isinstance(value, tuple) else value


class UnusedOptions:
    """Logs a warning for each option that a client sets and that has no effect here, once."""

    def __init__(self, warn: Callable[[str], object] = _log.warning) -> None:
        """`warn` is called with a line of text."""
        self._warn = warn
        self._warned: set[str] = set()
        self._turn = threading.Lock()

    def __call__(self, options: Options, named: Iterable[str] = ()) -> None:
        """Warn of the stored options without effect that are not at their defaults, and of those of
        other servers among the keys that a client `named`. Thread-safe."""
        ignored = options.ignored() | foreign_keys(named)
        with self._turn:
            new = {k: why for k, why in ignored.items() if k not in self._warned}
            self._warned |= new.keys()
        for why in dict.fromkeys(new.values()):
            keys = ", ".join(key for key in new if new[key] == why)
            self._warn(f"without effect here: {keys} ({why})")


def foreign_keys(keys: Iterable[str]) -> dict[str, str]:
    """The options of other servers among `keys`, with why they have no effect; a family is one."""
    found = (find_option(key) for key in keys)
    return {each.key: each.without_effect for each in found if each and each.foreign}


class ChangeOptions:
    """Changes options, for `POST /options`."""

    def __init__(
        self,
        store: OptionsStore,
        *,
        find_checkpoint: Callable[[str], object],
        policy: WritePolicy | None = None,
        on_change: Mapping[str, Callable[[Options], object]] | None = None,
        loads: WaitingRoom | None = None,
        unused: UnusedOptions | None = None,
        check: Callable[[Options, Options], object] = _unchecked,
    ) -> None:
        """`find_checkpoint` raises NotFound for an unknown checkpoint name.

        `on_change` maps option keys to callbacks. A callback gets the new options before they are
        stored, and refuses them by raising: a checkpoint that does not load is not selected.
        Callbacks may take long, so such changes are serialised; `loads` bounds how many may wait.
        `unused` is called with the stored options. `check` is called with the new options and the
        present ones, and refuses by raising what depends on more than the registry: folders.
        """
        self._check = check
        self._store = store
        self._find_checkpoint = find_checkpoint
        self._policy = policy or WritePolicy()
        self._on_change = on_change or {}
        self._loads = loads or WaitingRoom("a checkpoint to load")
        self._unused = unused or UnusedOptions()
        self._turn = threading.Lock()

    def __call__(self, changes: Mapping[str, object], party: str | None = None) -> None:
        """Store and save all `changes` or none (spec api.md 13.2).

        A1111 instead stores the members before an invalid one, stores values of wrong types, and
        ignores the failure of a callback. Changes without callbacks do not wait for others.
        Raises NotFound (a checkpoint), UnknownOption, FrozenOption, OptionError (a value that is
        not admitted), TooManyWaiting, ShareTaken (of the waiting places of `party`), or what a
        callback raises.
        """
        _, admitted = self._checked(changes)
        if self._on_change.keys().isdisjoint(admitted):
            self._unused(self._store.update(admitted), changes)
            return
        with self._loads.place(party), self._turn:
            current, admitted = self._checked(changes)  # again, since others may have changed them
            changed = current.updated(admitted)
            for key in admitted:
                if key in self._on_change:
                    self._on_change[key](changed)
            self._unused(self._store.update(admitted), changes)

    def _checked(self, changes: Mapping[str, object]) -> tuple[Options, dict[str, object]]:
        """(present options, the changes that the write policy admits)."""
        current = self._store.snapshot()
        if changes.get(CHECKPOINT) is not None:
            self._find_checkpoint(Options({CHECKPOINT: changes[CHECKPOINT]}).text(CHECKPOINT))
        admitted = self._policy.admit(changes, current)
        if admitted:
            self._check(current.updated(admitted), current)
        self._policy.check_saving()
        return current, admitted
