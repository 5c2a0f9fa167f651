"""Loading an upscaling network of any supported architecture from a file."""

from pathlib import Path

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.upscale import compact, rrdb, spandrel_networks
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import Built
from hexfusion.domain.errors import CheckpointError

#: Where training programs put the tensors in a `.pth`, the better ones first.
_INSIDE = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net")
#: Their prefixes of every name.
_PREFIXES = ("module.", "netG.")

#: Architectures that are built here; spandrel builds any other.
_OWN = (rrdb, compact)


def load_network(file: Path) -> Built:
    """The network in the file.

    Raises `CheckpointError`, and `ModelUnavailable` if spandrel is needed and not installed.
    """
    return build(read_weights(file, mmap=False, inside=_INSIDE).tensors, str(file))


def build(state: StateDict, file: str) -> Built:
    """The network with these tensors. Raises as `load_network`."""
    state = _unprefixed(state)
    try:
        for own in _OWN:
            if own.detect(state):
                return own.build(state, file)
    except (LookupError, ValueError, RuntimeError) as error:  # shapes that are none of its own
        raise CheckpointError(file, f"is damaged: {error}") from error
    return spandrel_networks.build(state, file)


def _unprefixed(state: StateDict) -> dict[str, Tensor]:
    named = dict(state)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in named):
            named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named
