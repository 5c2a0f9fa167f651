"""Which checkpoint is in memory, and the change from one to the next."""

import gc
import threading
from collections.abc import Sequence
from pathlib import Path

import torch

from adapters.gpu.torch_backend.loading import LoadedCheckpoint, Precision, load_checkpoint
from adapters.gpu.torch_backend.placement import Placing
from domain.checkpoints import Checkpoint


class Residency:
    """Holds the checkpoints that were asked for last: one, or those that one job uses together.

    Whoever renders keeps references of his own, so a change of model never pulls one away from
    under a running job.
    """

    def __init__(self, placing: Placing, precision: Precision) -> None:
        self._placing = placing
        self._device = placing.device
        self._precision = precision
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Checkpoint, LoadedCheckpoint]] = {}

    def get(self, *checkpoints: Checkpoint) -> Sequence[LoadedCheckpoint]:
        """These checkpoints, in this order; what is not held is loaded now.

        Raises `CheckpointError`; those held before then stay.
        """
        with self._lock:
            before = self._held
            after = {
                each.filename: before.get(each.filename) or (each, self._load(each))
                for each in checkpoints
            }
            self._held = after
        if after.keys() != before.keys():
            self._tidy()
        return [after[each.filename][1] for each in checkpoints]

    def _load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        path = Path(checkpoint.filename)
        model = load_checkpoint(path, precision=self._precision, home=self._placing.home)
        return self._placing.settle(model)

    def current(self) -> Checkpoint | None:
        """What is held, if anything; of several the first that was asked for."""
        return next((checkpoint for checkpoint, _ in self._held.values()), None)

    def drop(self) -> None:
        """Let go of it."""
        with self._lock:
            self._held = {}
        self._tidy()

    def _tidy(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
