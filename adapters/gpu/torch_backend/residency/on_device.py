"""Loading, measuring and moving a checkpoint's networks, for `Residency`."""

import gc
import math
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.precision import Precision
from hexfusion.adapters.gpu.torch_backend.residency.placement import RAM, Placement, Placing
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError


def networks_of(model: LoadedCheckpoint) -> Iterator[nn.Module]:
    """All networks of a checkpoint: UNet, VAE, text encoders, and any image encoder."""
    for each in fields(model):
        value = getattr(model, each.name)
        network = getattr(value, "network", value)  # what looks at pictures has one inside
        if isinstance(network, nn.Module):
            yield network
    for encoder in model.text.encoders:
        yield encoder.model
        if encoder.projection is not None:
            yield encoder.projection


def model_size(model: LoadedCheckpoint) -> int:
    """Bytes of its networks' tensors."""
    return bytes_of(
        tensor
        for network in networks_of(model)
        for tensor in (*network.parameters(), *network.buffers())
    )


def move_networks(model: LoadedCheckpoint, device: torch.device) -> None:
    """Move its networks to `device`, in place. No job may be using them."""
    for network in networks_of(model):
        network.to(device)


class CheckpointHandler:
    """The `ModelHandler` for checkpoints: loads them to the place that `placing` chooses.

    Networks that are moved to the device for each call are kept in RAM. `turn` is the lock on the
    device.
    """

    def __init__(self, placing: Placing, precision: Precision, turn: threading.Lock) -> None:
        self._placing = placing
        self._precision = precision
        self._turn = turn

    def load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        """Read the file and build its networks. Raises `CheckpointError`."""
        path = Path(checkpoint.filename)
        model = load_checkpoint(path, precision=self._precision, home=self._placing.home)
        return self._placing.settle(model)

    def expected(self, checkpoint: Checkpoint) -> int:
        """Estimated bytes: the file's elements in the UNet's precision, 0 for an unreadable file.

        Loading that file then raises the error.
        """
        path = Path(checkpoint.filename)
        try:
            if path.suffix.lower() != ".safetensors":  # would have to be read
                return path.stat().st_size
            shapes = read_weights(path).shapes().values()
        except (OSError, CheckpointError):
            return 0
        return sum(map(math.prod, shapes)) * self._precision.unet.itemsize

    def size(self, model: LoadedCheckpoint) -> int:
        """Bytes of its networks' tensors."""
        return model_size(model)

    def to_device(self, model: LoadedCheckpoint) -> None:
        """Move it to the device, unless its networks are moved call by call."""
        if self._placing.of(model.family) is Placement.WHOLE:
            move_networks(model, self._placing.device)

    def to_ram(self, model: LoadedCheckpoint) -> None:
        """Move it to RAM, unless its networks are there already."""
        if self._placing.of(model.family) is Placement.WHOLE:
            move_networks(model, RAM)

    def tidy(self) -> None:
        """Collect dropped networks, which hold reference cycles, and free their device memory."""
        if self._placing.takes_turns:
            with self._turn:
                self._placing.slot.clear()
        gc.collect()
        if self._placing.device.type == "cuda":
            torch.cuda.empty_cache()
