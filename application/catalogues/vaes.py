"""Use-cases: list the VAE files, and choose the VAE of a job (spec networks.md 1.6)."""

import logging
from collections.abc import Sequence

from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.options import Options
from hexfusion.domain.vaes import VaeFile, choose_vae

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

    def chosen(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """The VAE file that the options select for a checkpoint; None is the checkpoint's own.

        An unknown name is logged, and the checkpoint's own VAE is used, as in A1111.
        """
        choice = choose_vae(
            self._catalog.vaes(),
            option=options.text("sd_vae"),
            overrides_preferences=options.flag("sd_vae_overrides_per_model_preferences"),
            preference=self._catalog.preference(checkpoint),
            stem=checkpoint.name_for_extra,
            forced=self._forced,
        )
        if choice.unknown is not None:
            _log.warning("no VAE is called %r: the checkpoint's own is used", choice.unknown)
        return choice.vae

    def identified(self, vae: VaeFile | None) -> VaeFile | None:
        """The VAE with its sha256. Computing it takes seconds, once per file.

        Raises `NotFound` if the file is gone.
        """
        return self._catalog.hash(vae) if vae is not None and self._hashing else vae

    def for_job(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """The chosen VAE with its sha256; see `chosen` and `identified`."""
        return self.identified(self.chosen(options, checkpoint))
