"""Use-cases: list the VAE files, and choose the VAE of a job (spec networks.md 1.6)."""

import logging
from collections.abc import Sequence

from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import MissingVae
from hexfusion.domain.options import Options
from hexfusion.domain.vaes import (
    VaeChoice,
    VaeFile,
    choose_vae,
    is_automatic,
    lack_of,
    module_named,
)

_SD_VAE, _MODULES = "sd_vae", "forge_additional_modules"

_log = logging.getLogger(__name__)


class Vaes:
    """Lists the VAE files and chooses among them.

    `forced` (`--vae-path`) takes precedence over everything. With `hashing` False no sha256 is
    computed.
    """

    def __init__(
        self, catalog: VaeCatalog, *, forced: VaeFile | None = None, hashing: bool = True
    ) -> None:
        self._catalog = catalog
        self._forced = forced
        self._hashing = hashing

    def list(self) -> Sequence[VaeFile]:
        """All VAE files, in display order."""
        return self._catalog.vaes()

    def refresh(self) -> None:
        """Search the folders for VAE files again."""
        self._catalog.refresh()

    def check(self, options: Options, checkpoint: Checkpoint) -> None:
        """Raises `MissingVae` if the checkpoint has no VAE, as far as its file tells without being
        loaded, and no other is chosen."""
        choice = self._choice(options, checkpoint)
        lacks = "" if choice.vae else lack_of(self._catalog.own_halves(checkpoint))
        if lacks:
            raise MissingVae(checkpoint.name, lacks, choice.unknown)

    def chosen(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """The VAE file that the options select for a checkpoint; None is the checkpoint's own.

        An unknown name is logged, and the checkpoint's own VAE is used, as in A1111.
        """
        choice = self._choice(options, checkpoint)
        if choice.unknown is not None:
            _log.warning("no VAE is called %r: the checkpoint's own is used", choice.unknown)
        return choice.vae

    def _choice(self, options: Options, checkpoint: Checkpoint) -> VaeChoice:
        return choose_vae(
            self._catalog.vaes(),
            option=self._option(options),
            overrides_preferences=options.flag("sd_vae_overrides_per_model_preferences"),
            preference=self._catalog.preference(checkpoint),
            stem=checkpoint.name_for_extra,
            forced=self._forced,
        )

    def _option(self, options: Options) -> str:
        """The VAE that the options name: `sd_vae`, or Forge's module where that is absent.

        A request's module counts before a stored `sd_vae`, which the request did not ask for.
        """
        name = options.text(_SD_VAE)
        asked = options.overridden(_MODULES) and not options.overridden(_SD_VAE)
        if not (asked or is_automatic(name)):
            return name
        vaes = self._catalog.vaes()
        found = [module_named(vaes, each) for each in options.texts(_MODULES)]
        # Forge puts one after the other into the network, so that the last one stays.
        return next((vae.name for vae in reversed(found) if vae), name)

    def other_modules(self, options: Options) -> Sequence[str]:
        """Forge's modules that are no VAE: text encoders, of which no family here takes any in a
        file of its own, and names that no file has. Each once."""
        vaes = self._catalog.vaes()
        named = options.texts(_MODULES)
        return [each for each in dict.fromkeys(named) if module_named(vaes, each) is None]

    def identified(self, vae: VaeFile | None) -> VaeFile | None:
        """The VAE with its sha256. Computing it takes seconds, once per file.

        Raises `NotFound` if the file is gone.
        """
        return self._catalog.hash(vae) if vae is not None and self._hashing else vae

    def for_job(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """The chosen VAE with its sha256; see `chosen` and `identified`."""
        return self.identified(self.chosen(options, checkpoint))
