"""Use-cases: list, choose, load and unload checkpoints (spec networks.md 1.2, 1.5)."""

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
    """Chooses checkpoints from the catalogue and loads them. Thread-safe.

    With `hashing` False no sha256 is computed. `vaes` chooses the VAE that is loaded with a
    checkpoint, by default its own.
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
        self._changing = (
            threading.Lock()
        )  # held while loading or unloading, and recording the result
        self._unloaded = False
        self._failed: tuple[str, HexfusionError] | None = None

    def list(self) -> Sequence[Checkpoint]:
        """All checkpoints, in display order."""
        return self._catalog.checkpoints()

    def refresh(self, options: Options) -> None:
        """Search the folders for checkpoints again."""
        self._catalog.refresh(hidden=options.flag("list_hidden_files"))

    def knows(self, name: str) -> bool:
        """Whether `name` is an exact alias of a checkpoint."""
        try:
            self._catalog.resolve(name)
        except NotFound:
            return False
        return True

    def configured(self, options: Options) -> Checkpoint:
        """The checkpoint that the options select; the first one if that does not exist.

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
        """Like `configured` for options with a request's overrides; an override that names no
        checkpoint is ignored (spec api.md 5.3)."""
        name = overridden.text(_KEY)
        return self.configured(overridden if name and self.knows(name) else base)

    def closest(self, name: str) -> Checkpoint:
        """The checkpoint that a refiner or hires field names: an alias, or part of a title.

        Raises `NotFound("checkpoint", name)`.
        """
        checkpoint = find_closest(self._catalog.checkpoints(), name)
        if checkpoint is None:
            raise NotFound("checkpoint", name)
        return checkpoint

    def identified(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with its sha256. Computing it takes seconds, once per file."""
        return self._catalog.hash(checkpoint) if self._hashing else checkpoint

    def load(self, options: Options) -> Checkpoint:
        """Load the configured checkpoint with its VAE; returns it with its sha256.

        Raises `CheckpointError` naming file and tensor, or `OutOfMemory`; then the previously
        loaded checkpoint stays.
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
        """Load the configured checkpoint with the VAE that the options select, after a change.

        Does nothing after `unload`: the next job then loads both. Raises as `load` does.
        """
        if not self._unloaded or self._host.loaded() is not None:
            self.load(options)

    def state(self, options: Options) -> str:
        """Returns "loaded" if a checkpoint is loaded, else "loadable".

        Raises `ModelUnavailable` if there is no checkpoint, and the error of the last attempt if
        the configured one failed to load.
        """
        if self._host.loaded() is not None:
            return "loaded"
        failed, checkpoint = self._failed, self.configured(options)
        if failed and failed[0] == checkpoint.filename:
            raise failed[1]
        return "loadable"

    def ready(self) -> Collection[str]:
        """Paths of the checkpoints that are on the device, and need no loading or moving."""
        return {each.checkpoint.filename for each in self._host.resident() if each.ready}

    def unload(self) -> None:
        """Free the memory of loaded checkpoints; the next job loads what it needs."""
        with self._changing:
            self._unloaded = True
            self._host.unload()

    def shown(self, options: Options) -> Mapping[str, OptionValue]:
        """The option values that A1111 sets when it loads a checkpoint: its title and hash.

        Those of the configured checkpoint, loaded or not, whatever other checkpoints jobs have
        loaded since. (A1111 accepts requests only once one is loaded; clients would read an empty
        title as "no model".)
        """
        try:
            checkpoint = self.configured(options)
        except ModelUnavailable:
            return {}
        return {_KEY: checkpoint.title, "sd_checkpoint_hash": checkpoint.sha256}


class Checkpoints:
    """`Models` with the stored options, for callers that have no options."""

    def __init__(self, models: Models, options: OptionsStore) -> None:
        self._models = models
        self._options = options

    def list(self) -> Sequence[Checkpoint]:
        """All checkpoints, in display order."""
        return self._models.list()

    def refresh(self) -> None:
        """Search the folders for checkpoints again."""
        self._models.refresh(self._options.snapshot())

    def load(self) -> Checkpoint:
        """See `Models.load`."""
        return self._models.load(self._options.snapshot())

    def load_at_start(self) -> None:
        """Load the configured checkpoint at server start, and log it; a failure is only logged."""
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
