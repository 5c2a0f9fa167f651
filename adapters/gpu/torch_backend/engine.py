"""`TorchInference`: the inference port on torch."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hexfusion.adapters.gpu.torch_backend.batch import Batch
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.computing_threads import by_computing_thread
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.decoding.vae_files import VaeFiles
from hexfusion.adapters.gpu.torch_backend.devices import cuda_memory
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.adapters.gpu.torch_backend.precision import Precision
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.on_device import CheckpointHandler
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing
from hexfusion.adapters.gpu.torch_backend.residency.residency import Cache, Residency
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.ports.inference import Observer, Rendered, Resident, Sources
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import Plan
from hexfusion.domain.vaes import VaeFile

log = logging.getLogger(__name__)


class TorchInference:
    """`Inference` and `ModelHost` on one device. Safe to use from many threads.

    Any number of jobs may run; a lock makes their network calls alternate. Each call has the rows
    of one job only, so that a picture does not depend on other jobs.
    """

    def __init__(
        self,
        device: torch.device,
        precision: Precision,
        *,
        cached_vaes: Callable[[], int] = lambda: 0,
        cached_loras: Callable[[], int] = lambda: 0,
        limits: Callable[[], MemoryLimits] = MemoryLimits,
        caches: Sequence[Cache] = (),
        upscaler: Upscaler | None = None,
        models: Path | None = None,
        placing: Placing | None = None,
        turn: "threading.Lock | None" = None,
    ) -> None:
        """Loads nothing yet.

        `limits()`, `cached_vaes()` and `cached_loras()` are read at each use: the limits on
        checkpoints, and how many VAEs and sets of merged LoRAs to keep besides the last used.
        `caches` are other caches on the device, dropped when memory is short. `models` is the
        folder of small decoders, `upscaler` is for hires fix. `placing` is the placement of
        networks, by default on `device`. `turn` is the lock on the device, shared with all others
        that compute on it.
        """
        self._device = device
        self._turn = turn or threading.Lock()
        self._placing = placing or Placing(device)
        self._networks = NetworkStore(kept=cached_loras, device=device)
        self._vaes = VaeFiles(device, precision.vae, cached=cached_vaes, placing=self._placing)
        self._small = SmallDecoders(models, device, precision.unet)
        self._copies = VaeCopies(self._placing)
        self._residency: Residency[LoadedCheckpoint] = Residency(
            CheckpointHandler(self._placing, precision, self._turn),
            limits,
            two_places=self._placing.two_places,
            caches=(self._networks, self._vaes, self._copies, self._small, *caches),
        )
        self._upscaler = upscaler or PlainUpscaler()

    @by_computing_thread
    @torch.inference_mode()
    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        """See `Inference.render`."""
        width, height = plan.size
        task = f"{plan.batch_size} pictures of {width}x{height}"
        with self._residency.using(*(checkpoint for checkpoint, _ in plan.models)) as loaded:

            def make() -> Rendered:
                batch = Batch(
                    plan,
                    self._with_vaes(plan, loaded),
                    observer,
                    sources,
                    device=self._device,
                    turn=self._turn,
                    networks=self._networks,
                    upscaler=self._upscaler,
                    small=self._small,
                    copies=self._copies,
                    placing=self._placing,
                )
                return batch.render()

            return with_memory(task, make, self._residency.free)

    def _with_vaes(
        self, plan: Plan, loaded: Sequence[LoadedCheckpoint]
    ) -> Mapping[str, LoadedCheckpoint]:
        """The plan's checkpoints by file name, each with the VAE that the plan chooses for it."""
        return {
            checkpoint.filename: replace(model, autoencoder=self._vaes.get(vae, model))
            for (checkpoint, vae), model in zip(plan.models, loaded, strict=True)
        }

    @by_computing_thread
    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        """See `ModelHost.load`."""

        def fits(loaded: Sequence[LoadedCheckpoint]) -> None:
            if self._vaes.get(vae, loaded[0]) is None:
                lacks = loaded[0].lacks_vae
                log.warning("%s %s: jobs must choose one (sd_vae)", checkpoint.name, lacks)

        def take() -> None:
            with self._residency.using(checkpoint, check=fits):
                pass

        with_memory(f"the checkpoint {checkpoint.name}", take, self._residency.free)

    def free(self) -> int:
        """Drop all that no job uses, when memory runs out; returns the bytes freed."""
        return self._residency.free()

    def loaded(self) -> Checkpoint | None:
        """See `ModelHost.loaded`."""
        return self._residency.current()

    def resident(self) -> Sequence[Resident]:
        """See `ModelHost.resident`."""
        return self._residency.resident()

    def unload(self) -> None:
        """See `ModelHost.unload`."""
        self._residency.unload()

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """See `ModelHost.memory`."""
        return cuda_memory(self._device)
