"""Mapping parameter names of diffusers' and transformers' networks to names in original files.

Each map goes from a module path of the library's network to the module path in the file. It is
derived from the inferred architecture, not from a table of known models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Origin:
    """A network parameter's place in a file: the tensor `name`, or a piece of it.

    `third` picks one of three equal pieces along the first axis; `transposed` swaps the two axes.
    """

    name: str
    third: int | None = None
    transposed: bool = False

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of the whole tensor in the file, for a parameter of `shape`."""
        if self.third is not None:
            return (3 * shape[0], *shape[1:])
        return tuple(reversed(shape)) if self.transposed else tuple(shape)

    def take(self, tensor: Tensor) -> Tensor:
        """The parameter as a view of the file's `tensor`."""
        if self.third is not None:
            return tensor.chunk(3)[self.third]
        return tensor.T if self.transposed else tensor


Locate = Callable[[str], Origin]
"""From the name of a library network's parameter to its place in the file."""


def by_module(modules: Mapping[str, str]) -> Locate:
    """Locate whole tensors by a map of module paths."""
    return lambda parameter: Origin(original_name(modules, parameter))


def original_name(modules: Mapping[str, str], parameter: str) -> str:
    """The name in the checkpoint file of the library's `parameter`.

    The longest module path in `modules` that is a prefix of `parameter` is replaced. Raises
    `KeyError` if none is.
    """
    head, tail = parameter, ""
    while head not in modules:
        head, dot, last = head.rpartition(".")
        if not dot:
            raise KeyError(parameter)
        tail = f".{last}{tail}"
    return modules[head] + tail
