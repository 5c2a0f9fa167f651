"""Use-cases: which checkpoint a job uses, and which are there (spec networks.md 1.2, 1.5)."""

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence

from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.ports.checkpoints import ModelCatalog
from hexfusion.application.ports.inference import ModelHost
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.checkpoints import Checkpoint, find_closest
from hexfusion.domain.errors import HexfusionError, ModelUnavailable, NotFound
from hexfusion.domain.options import Options, OptionValue

_KEY = "sd_model_checkpoint"

_log = logging.getLogger("hexfusion")


class Models:
    """Knows the catalogue and what is loaded. `hashing` False never computes a sha256; `vaes`
    chooses what is loaded with a checkpoint.
    """

    def __init__(
        self,
        catalog: ModelCatalog,
        host: ModelHost,
        *,
        hashing: bool = True,
        vaes: Vaes | None = None,
    ) -> None:
        self._catalog = catalog
        self._host = host
        self._hashing = hashing
        self._vaes = vaes
        self._changing = threading.Lock()  # of who loads or unloads, until it is noted below
        self._unloaded = False
        self._failed: tuple[str, HexfusionError] | None = None

    def list(self) -> Sequence[Checkpoint]:
        """All checkpoints, as shown."""
        return self._catalog.checkpoints()

    def refresh(self, options: Options) -> None:
        """Look for files again."""
        self._catalog.refresh(hidden=options.flag("list_hidden_files"))

    def knows(self, name: str) -> bool:
        """Whether `name` is an exact alias of a checkpoint."""
        try:
            self._catalog.resolve(name)
        except NotFound:
            return False
        return True

    def configured(self, options: Options) -> Checkpoint:
        """The checkpoint these options mean; the first one where they mean none that exists.

        Raises `ModelUnavailable` when there is no checkpoint at all.
        """
        name = options.text(_KEY)
        if name and self.knows(name):
            return self._catalog.resolve(name)
        checkpoints = self._catalog.checkpoints()
        if not checkpoints:
            raise ModelUnavailable(
                "no checkpoint found: put a .safetensors file into models/Stable-diffusion"
            )
        return checkpoints[0]

    def for_request(self, base: Options, overridden: Options) -> Checkpoint:
        """Like `configured`; an override that names no checkpoint is dropped (api.md 5.3)."""
        name = overridden.text(_KEY)
        return self.configured(overridden if name and self.knows(name) else base)

    def closest(self, name: str) -> Checkpoint:
        """The checkpoint that a refiner or hires field means: an alias, or part of a title.

        Raises `NotFound("checkpoint", name)`.
        """
        checkpoint = find_closest(self._catalog.checkpoints(), name)
        if checkpoint is None:
            raise NotFound("checkpoint", name)
        return checkpoint

    def identified(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with its sha256, computed at its first use. Takes seconds once a file."""
        return self._catalog.hash(checkpoint) if self._hashing else checkpoint

    def load(self, options: Options) -> Checkpoint:
        """Load the configured checkpoint, with its VAE, and return it identified.

        Raises `CheckpointError` naming file and tensor, or `OutOfMemory`; what was loaded before
        then stays.
        """
        checkpoint = self.identified(self.configured(options))
        vae = self._vaes.for_job(options, checkpoint) if self._vaes else None
        with self._changing:
            self._failed = None
            try:
                self._host.load(checkpoint, vae)
            except HexfusionError as error:
                self._failed = checkpoint.filename, error
                raise
            self._unloaded = False
        return checkpoint

    def load_vae(self, options: Options) -> None:
        """Load the VAE that these options mean, as A1111 does when they change, for the configured
        checkpoint. Who unloaded that has it loaded by the next job, and not by this.

        Raises as `load` does.
        """
        if not self._unloaded or self._host.loaded() is not None:
            self.load(options)

    def state(self, options: Options) -> str:
        """Whether a model is `loaded`, or at least `loadable`.

        Raises `ModelUnavailable` when there is no checkpoint, `CheckpointError` when the configured
        one was tried and does not load.
        """
        if self._host.loaded() is not None:
            return "loaded"
        failed, checkpoint = self._failed, self.configured(options)
        if failed and failed[0] == checkpoint.filename:
            raise failed[1]
        return "loadable"

    def ready(self) -> Collection[str]:
        """Files of the checkpoints that render without being loaded or moved first."""
        return {each.checkpoint.filename for each in self._host.resident() if each.ready}

    def unload(self) -> None:
        """Free the loaded checkpoint's memory; the next job loads what it needs."""
        with self._changing:
            self._unloaded = True
            self._host.unload()

    def shown(self, options: Options) -> Mapping[str, OptionValue]:
        """What A1111's loader writes over the options: the title and hash of the checkpoint.

        They are the configured one's, whatever a job's overrides, its refiner or its second pass
        had loaded since, and loaded or not: A1111 opens its port only when it is, and clients take
        an empty title for no model at all.
        """
        try:
            checkpoint = self.configured(options)
        except ModelUnavailable:
            return {}
        return {_KEY: checkpoint.title, "sd_checkpoint_hash": checkpoint.sha256}


class Checkpoints:
    """The same for those who have no options at hand: the stored ones count."""

    def __init__(self, models: Models, options: OptionsStore) -> None:
        self._models = models
        self._options = options

    def list(self) -> Sequence[Checkpoint]:
        """All checkpoints, as shown."""
        return self._models.list()

    def refresh(self) -> None:
        """Look for files again."""
        self._models.refresh(self._options.snapshot())

    def load(self) -> Checkpoint:
        """See `Models.load`."""
        return self._models.load(self._options.snapshot())

    def load_and_tell(self) -> None:
        """Load it when the server starts, and say so; a failure is told, not fatal."""
        started = time.perf_counter()
        try:
            checkpoint = self.load()
        except HexfusionError as error:
            _log.error("no checkpoint is loaded: %s", error)
        else:
            _log.info("loaded %s in %.1f s", checkpoint.title, time.perf_counter() - started)

    def unload(self) -> None:
        """See `Models.unload`."""
        self._models.unload()
