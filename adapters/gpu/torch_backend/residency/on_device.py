"""A loaded checkpoint's networks as things that lie somewhere and weigh something."""

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
    """All of them: whatever it has that is a network, and its text encoders'."""
    for each in fields(model):
        value = getattr(model, each.name)
        network = getattr(value, "network", value)  # what looks at pictures has one inside
        if isinstance(network, nn.Module):
            yield network
    for encoder in model.text.encoders:
        yield encoder.model
        if encoder.projection is not None:
            yield encoder.projection


def size_of(model: LoadedCheckpoint) -> int:
    """Bytes of its networks' tensors."""
    return bytes_of(
        tensor
        for network in networks_of(model)
        for tensor in (*network.parameters(), *network.buffers())
    )


def move(model: LoadedCheckpoint, device: torch.device) -> None:
    """Put its networks there. Nobody may be using it."""
    for network in networks_of(model):
        network.to(device)


class OnDevice:
    """What `Residency` does with checkpoints' networks: where `placing` says, and in RAM.

    Those that take turns on the device lie in RAM at all times. Whoever holds `turn` has the
    device.
    """

    def __init__(self, placing: Placing, precision: Precision, turn: threading.Lock) -> None:
        self._placing = placing
        self._precision = precision
        self._turn = turn

    def load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        """Raises `CheckpointError`."""
        path = Path(checkpoint.filename)
        model = load_checkpoint(path, precision=self._precision, home=self._placing.home)
        return self._placing.settle(model)

    def expected(self, checkpoint: Checkpoint) -> int:
        """As many bytes as its file has elements, in the UNet's precision; 0 where that cannot be
        told: what is wrong with the file is told by loading it."""
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
        return size_of(model)

    def to_device(self, model: LoadedCheckpoint) -> None:
        """To where it computes."""
        if self._placing.of(model.family) is Placement.WHOLE:
            move(model, self._placing.device)

    def to_ram(self, model: LoadedCheckpoint) -> None:
        """To where it waits."""
        if self._placing.of(model.family) is Placement.WHOLE:
            move(model, RAM)

    def tidy(self) -> None:
        """Collect networks that are gone, for they are full of cycles; give back their memory."""
        if self._placing.takes_turns:
            with self._turn:
                self._placing.there.clear()
        gc.collect()
        if self._placing.device.type == "cuda":
            torch.cuda.empty_cache()
