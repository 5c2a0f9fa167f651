"""The inference port on torch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hexfusion.adapters.gpu.torch_backend.batch import Batch
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.decoding.vae_files import VaeFiles
from hexfusion.adapters.gpu.torch_backend.devices import cuda_memory
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.adapters.gpu.torch_backend.precision import Precision
from hexfusion.adapters.gpu.torch_backend.residency.checkpoint_handler import CheckpointHandler
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing
from hexfusion.adapters.gpu.torch_backend.residency.residency import Cache, Residency
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.ports.inference import Observer, Rendered, Resident, Sources
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import Plan
from hexfusion.domain.vaes import VaeFile


class TorchInference:
    """`Inference` and `ModelHost` over one device.

    Any number of jobs may be under way; their network calls take turns, so that two jobs share
    the device step by step instead of fighting over it. Each call holds one job's rows only, which
    keeps every picture the same whoever else is drawing.
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
        """`limits` is asked how many checkpoints to keep, and where; `cached_vaes` how many VAEs
        besides the one last used, and `cached_loras` how many sets of merged LoRAs. `caches` are
        of others on the device, to be let go of when memory is short.

        Below the folder `models` small decoders are looked for. `upscaler` enlarges for hires fix;
        whoever else computes on the device shares `turn`. `placing` says where networks lie, if not
        on the device.
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
        """The plan's checkpoints by file name, each with the VAE it goes with here."""
        return {
            checkpoint.filename: replace(model, vae=self._vaes.get(vae, model))
            for (checkpoint, vae), model in zip(plan.models, loaded, strict=True)
        }

    def load(self, checkpoint: Checkpoint, vae: VaeFile | None = None) -> None:
        """See `ModelHost.load`."""

        def fits(loaded: Sequence[LoadedCheckpoint]) -> None:
            self._vaes.get(vae, loaded[0])

        def take() -> None:
            with self._residency.using(checkpoint, check=fits):
                pass

        with_memory(f"the checkpoint {checkpoint.name}", take, self._residency.free)

    def free(self) -> int:
        """Let go of all that no job uses, when memory runs out; returns how many bytes."""
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
