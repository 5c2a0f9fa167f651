"""The inference port on torch."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from adapters.gpu.torch_backend.batch import Batch
from adapters.gpu.torch_backend.devices import cuda_memory
from adapters.gpu.torch_backend.extra_networks.additions import NetworkStore
from adapters.gpu.torch_backend.loading import LoadedCheckpoint, Precision
from adapters.gpu.torch_backend.placement import Placing
from adapters.gpu.torch_backend.residency import Residency
from adapters.gpu.torch_backend.small_decoders.files import SmallDecoders
from adapters.gpu.torch_backend.vae_files import VaeFiles
from application.ports.inference import Observer, Rendered, Sources
from application.ports.upscale import Upscaler
from application.upscaling import PlainUpscaler
from domain.checkpoints import Checkpoint
from domain.plan import Plan


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
        upscaler: Upscaler | None = None,
        models: Path | None = None,
        placing: Placing | None = None,
        turn: "threading.Lock | None" = None,
    ) -> None:
        """`cached_vaes` is asked how many VAEs to keep besides the one last used, and
        `cached_loras` how many sets of merged LoRAs.

        Below the folder `models` small decoders are looked for. `upscaler` enlarges for hires fix;
        whoever else computes on the device shares `turn`. `placing` says where networks lie, if not
        on the device.
        """
        self._device = device
        self._placing = placing or Placing(device)
        self._residency = Residency(self._placing, precision)
        self._networks = NetworkStore(kept=cached_loras, device=device)
        self._vaes = VaeFiles(device, precision.vae, cached=cached_vaes, placing=self._placing)
        self._small = SmallDecoders(models, device, precision.unet)
        self._upscaler = upscaler or PlainUpscaler()
        self._turn = turn or threading.Lock()

    @torch.inference_mode()
    def render(self, plan: Plan, observer: Observer, sources: Sources | None = None) -> Rendered:
        """See `Inference.render`."""
        models = self._models(plan)
        batch = Batch(
            plan,
            models,
            observer,
            sources,
            device=self._device,
            turn=self._turn,
            networks=self._networks,
            upscaler=self._upscaler,
            small=self._small,
            placing=self._placing,
        )
        return batch.render()

    def _models(self, plan: Plan) -> Mapping[str, LoadedCheckpoint]:
        """The plan's checkpoints by file name, each with the VAE it goes with here."""
        loaded = self._residency.get(*(checkpoint for checkpoint, _ in plan.models))
        return {
            checkpoint.filename: replace(model, vae=self._vaes.get(vae, model))
            for (checkpoint, vae), model in zip(plan.models, loaded, strict=True)
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """See `ModelHost.load`."""
        self._residency.get(checkpoint)

    def loaded(self) -> Checkpoint | None:
        """See `ModelHost.loaded`."""
        return self._residency.current()

    def unload(self) -> None:
        """See `ModelHost.unload`."""
        self._residency.drop()
        self._vaes.drop()
        self._networks.drop()
        self._small.drop()
        with self._turn:
            self._placing.there.clear()

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """See `ModelHost.memory`."""
        return cuda_memory(self._device)
