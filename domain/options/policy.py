"""Which changes the API may make: the freeze and hide flags (spec api.md 1, 13.2)."""

from collections.abc import Mapping

import msgspec

from hexfusion.domain.options.coercion import coerce
from hexfusion.domain.options.errors import FrozenOption
from hexfusion.domain.options.option import Option
from hexfusion.domain.options.registry import find_option, section_of
from hexfusion.domain.options.snapshot import Options, known_option


class WritePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line forbids.

    `freeze_all` is `--freeze-settings`; `freeze_sections` and `freeze_keys` hold the ids of
    `--freeze-settings-in-sections` and the keys of `--freeze-specific-settings`; `lock_paths` is
    `--hide-ui-dir-config`.
    """

    freeze_all: bool = False
    freeze_sections: frozenset[str] = frozenset()
    freeze_keys: frozenset[str] = frozenset()
    lock_paths: bool = False

    def admit(self, changes: Mapping[str, object], current: Options) -> dict[str, object]:
        """The entries of `changes` to store, in their order, by the options' own keys.

        Left out: what equals the stored value (null equals an absent one), explanations, options
        of other servers, API-restricted options, and with `lock_paths` path options.
        Raises UnknownOption, OptionError (a value that is not admitted), or FrozenOption.
        """
        admitted = {}
        for key, value in changes.items():
            if value is None and find_option(key) is None:
                continue
            option = known_option(key)
            if key != option.key and option.key in changes:
                continue
            if self._ignores(option) or coerce(option, value) == current.stored.get(option.key):
                continue
            self._check_frozen(option)
            admitted[option.key] = value
        return admitted

    def check_saving(self) -> None:
        """Raises FrozenOption when all settings are frozen: even saving no change is refused."""
        if self.freeze_all:
            raise FrozenOption("*", "saving settings is disabled")

    def _ignores(self, option: Option) -> bool:
        locked = option.path_locked and self.lock_paths
        return option.unstorable or option.api_restricted or locked

    def _check_frozen(self, option: Option) -> None:
        if self.freeze_all:
            raise FrozenOption(option.key, "changing settings is disabled")
        section = section_of(option.key)
        if section.id in self.freeze_sections:
            raise FrozenOption(
                option.key,
                f"not possible to set '{option.key}' because settings in section "
                f"'{section.title}' ({section.id}) are frozen with --freeze-settings-in-sections",
            )
        if option.key in self.freeze_keys:
            raise FrozenOption(
                option.key,
                f"not possible to set '{option.key}' because this setting is frozen "
                "with --freeze-specific-settings",
            )
