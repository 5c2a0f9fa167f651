"""Use-cases: which VAE a job decodes with, and which are there (spec networks.md 1.6)."""

import logging
from collections.abc import Sequence

from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.options import Options
from hexfusion.domain.vaes import VaeFile, choose_vae

_log = logging.getLogger(__name__)


class Vaes:
    """Chooses among the VAE files there are.

    `forced` (`--vae-path`) is used whatever anybody says. `hashing` False computes no sha256.
    """

    def __init__(
        self, catalog: VaeCatalog, *, forced: VaeFile | None = None, hashing: bool = True
    ) -> None:
        self._catalog = catalog
        self._forced = forced
        self._hashing = hashing

    def list(self) -> Sequence[VaeFile]:
        """All of them, as shown."""
        return self._catalog.vaes()

    def refresh(self) -> None:
        """Look for files again."""
        self._catalog.refresh()

    def chosen(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """The VAE these options mean with this checkpoint; None is the checkpoint's own.

        So is, with a line in the log, a name that no file has: A1111 goes on as well.
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
        """The VAE with its sha256, computed at its first use. Takes seconds once a file.

        Raises `NotFound` when the file is gone.
        """
        return self._catalog.hash(vae) if vae is not None and self._hashing else vae

    def for_job(self, options: Options, checkpoint: Checkpoint) -> VaeFile | None:
        """Chosen and identified."""
        return self.identified(self.chosen(options, checkpoint))
