"""The tensors of a face network's file, and a network out of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.filling import check_state, fill_module
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.domain.errors import CheckpointError

#: Where training programs put the tensors in a `.pth`, the better ones first.
_INSIDE = ("params_ema", "params", "state_dict")
#: The published files' widest layer has 8192.
_WIDEST = 16384
#: What they put before every name.
_PREFIX = "module."


class FaceTensors(Mapping[str, Tensor]):
    """The tensors of `file` by name; what is asked of them in vain is a `CheckpointError`."""

    def __init__(self, file: str, tensors: Mapping[str, Tensor]) -> None:
        self.file = file
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise CheckpointError(self.file, "is missing", name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def widths(self, name: str, dimensions: int = 4) -> tuple[int, ...]:
        """A tensor's shape, which must have that many dimensions, none empty or beyond reason."""
        shape = tuple(self[name].shape)
        if len(shape) != dimensions or not all(0 < each <= _WIDEST for each in shape):
            raise CheckpointError(self.file, f"has shape {shape}", name)
        return shape

    def count(self, prefix: str) -> int:
        """How many numbers from 0 follow on `prefix` in names, without a gap."""
        known = {name[len(prefix) :].partition(".")[0] for name in self if name.startswith(prefix)}
        number = 0
        while str(number) in known:
            number += 1
        return number


def read_face_tensors(file: Path) -> FaceTensors:
    """Raises `CheckpointError` for what is no file of plain tensors."""
    tensors = read_weights(file, mmap=False, inside=_INSIDE).tensors
    if all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    return FaceTensors(str(file), tensors)


class FaceNetwork(nn.Module, ABC):
    """A network whose layout is read off a file."""

    @abstractmethod
    def fits(self) -> bool:
        """Whether pixels of the size it is for come through; tried without numbers."""


N = TypeVar("N", bound=FaceNetwork)


def build(state: FaceTensors, make: Callable[[FaceTensors], N]) -> N:
    """The network that `make` lays out to these tensors' shapes, with them in single precision.

    What a file holds beside them (counters of training, a network's other half) is left alone.
    Raises `CheckpointError` naming the tensor that is missing or does not fit.
    """
    try:
        with torch.device("meta"), torch.inference_mode():
            network = make(state).eval()
            known = {name: state[name] for name in network.state_dict()}
            check_state(network, known, state.file)
            fits = network.fits()
    except (ValueError, RuntimeError, AssertionError, IndexError) as error:  # layers check numbers
        raise CheckpointError(state.file, f"describes no network that works: {error}") from error
    if not fits:
        raise CheckpointError(state.file, "describes a network for something else")
    return fill_module(network, known, state.file)
