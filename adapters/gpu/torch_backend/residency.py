"""Which checkpoint is in memory, and the change from one to the next."""

import gc
import threading
from pathlib import Path

import torch

from adapters.gpu.torch_backend.loading import LoadedCheckpoint, Precision, load_checkpoint
from domain.checkpoints import Checkpoint


class Residency:
    """Holds one checkpoint. Whoever renders keeps a reference of his own, so a change of model
    never pulls one away from under a running job.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self._device = device
        self._precision = precision
        self._lock = threading.Lock()
        self._held: tuple[Checkpoint, LoadedCheckpoint] | None = None

    def get(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        """The checkpoint, loaded now if it is not the one held.

        Raises `CheckpointError`; the one held before then stays.
        """
        with self._lock:
            if self._held and self._held[0].filename == checkpoint.filename:
                return self._held[1]
            loaded = load_checkpoint(Path(checkpoint.filename), self._device, self._precision)
            self._held = checkpoint, loaded
        self._tidy()
        return loaded

    def current(self) -> Checkpoint | None:
        """What is held, if anything."""
        held = self._held
        return held[0] if held else None

    def drop(self) -> None:
        """Let go of it."""
        with self._lock:
            self._held = None
        self._tidy()

    def _tidy(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
