"""The parsed command line: every flag's value, with typed access."""

from collections.abc import Mapping

import msgspec

from hexfusion.domain.flags.a1111 import A1111
from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagValue
from hexfusion.domain.flags.limits import LIMITS
from hexfusion.domain.flags.own import OWN
from hexfusion.domain.job_limits import MEGAPIXEL, JobLimits
from hexfusion.domain.options import WritePolicy

FLAGS: Mapping[str, Flag] = {flag.dest: flag for flag in (*A1111, *OWN)}
"""Every flag by its `dest`: A1111's in their order, then ours."""

_REDACTED = "***"


class Flags(msgspec.Struct, frozen=True):
    """The parsed command line, immutable. `flags["data_dir"]` is the value of a flag by its dest.

    `values` has every flag's value or default, with absolute paths; `given` has the dests that were
    on the command line; `unknown` are the unknown flags that IGNORE_CMD_ARGS_ERRORS let pass.
    """

    values: Mapping[str, FlagValue]
    given: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    def __getitem__(self, dest: str) -> FlagValue:
        return self.values[dest]

    def switch(self, dest: str) -> bool:
        """The value of a switch."""
        return bool(self.values[dest])

    def integer(self, dest: str) -> int:
        """The value of an integer flag that has a default or was given."""
        value = self.values[dest]
        assert isinstance(value, int), f"{dest} is no integer flag, or was not given"
        return value

    def text(self, dest: str) -> str:
        """The value of a text or path flag; not given counts as empty."""
        value = self.values[dest]
        assert value is None or isinstance(value, str), f"{dest} is no text flag"
        return value or ""

    def texts(self, dest: str) -> tuple[str, ...]:
        """The value of a list flag."""
        value = self.values[dest]
        assert isinstance(value, tuple), f"{dest} is no list flag"
        return value

    @property
    def host(self) -> str:
        """The address to bind to: `--server-name`, else 0.0.0.0 with `--listen`, else 127.0.0.1.

        A1111's API-only mode binds to all addresses (spec api.md 1).
        """
        return self.text("server_name") or ("0.0.0.0" if self.switch("listen") else "127.0.0.1")

    @property
    def port(self) -> int:
        """The port to bind to; 0 is any free one. A1111's API-only default (spec api.md 1)."""
        return 7861 if self.values["port"] is None else self.integer("port")

    @property
    def models_dir(self) -> str:
        """The folder of models: given, or `models` in the data folder."""
        return self.text("models_dir") or f"{self.text('data_dir')}/models"

    @property
    def threads(self) -> int | None:
        """Threads for torch; None leaves the choice to torch."""
        return None if self.values["threads"] is None else self.integer("threads")

    @property
    def max_body(self) -> int:
        """The largest request body, bytes."""
        return self.integer("max_body") << 20

    def write_policy(self) -> WritePolicy:
        """The options that the freeze and hide flags protect from changes by clients."""
        return WritePolicy(
            freeze_all=self.switch("freeze_settings"),
            freeze_sections=_names(self.text("freeze_settings_in_sections")),
            freeze_keys=_names(self.text("freeze_specific_settings")),
            lock_paths=self.switch("hide_ui_dir_config"),
        )

    def job_limits(self) -> JobLimits:
        """The bounds of each job."""
        return JobLimits(
            pictures=self.integer("job_pictures"),
            pixels=self.integer("job_pixels") * MEGAPIXEL,
            batch_pixels=self.integer("batch_pixels") * MEGAPIXEL,
            picture_pixels=self.integer("picture_pixels") * MEGAPIXEL,
            steps=self.integer("job_steps"),
            seconds=self.integer("job_seconds"),
            reply=self.integer("job_reply") << 20,
            text=self.integer("job_text") << 20,
            prompt=self.integer("prompt_size") << 10,
            arguments=self.integer("argument_size") << 10,
        )

    def ignored(self) -> list[str]:
        """Flags that were given and have no effect in this server, as written; to be warned of."""
        given = (flag for flag in FLAGS.values() if flag.dest in self.given)
        return [flag.option for flag in given if flag.effect is FlagEffect.NONE]

    def limits(self) -> dict[str, dict[str, object]]:
        """What bounds clients, by flag: the value in force, what it counts, and what it bounds.

        A value is null where nothing is bounded unless the flag is given.
        """
        return {
            flag.option: {"value": self.values[flag.dest], "unit": flag.unit, "about": flag.help}
            for flag in LIMITS
        }

    def wire(self) -> dict[str, object]:
        """The body of `GET /cmd-flags`: A1111's flags, in its order and with its types.

        A flag without default is text or null, whatever its kind. A secret value is replaced by
        `***`; A1111 shows it (spec api.md 1).
        """
        return {flag.dest: _wire(flag, self.values[flag.dest]) for flag in A1111}


def _wire(flag: Flag, value: FlagValue) -> object:
    if flag.secret and value:
        return {name: _REDACTED for name in value} if isinstance(value, Mapping) else _REDACTED
    if isinstance(value, tuple):
        return list(value)
    if flag.default is None and value is not None:
        return str(value)
    return value


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
