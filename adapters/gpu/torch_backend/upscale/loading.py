"""A file to an upscaling network, whichever it holds."""

from pathlib import Path

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.upscale import compact, rrdb, spandrel_networks
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import Built
from hexfusion.domain.errors import CheckpointError

#: Where training programs put the tensors in a `.pth`, the better ones first.
_INSIDE = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net")
#: What they put before every name.
_PREFIXES = ("module.", "netG.")

#: Those that are built here; anything else is spandrel's.
_OWN = (rrdb, compact)


def load_network(file: Path) -> Built:
    """Raises `CheckpointError`, `ModelUnavailable` where spandrel is needed and absent."""
    return build(read_weights(file, mmap=False, inside=_INSIDE).tensors, str(file))


def build(state: StateDict, file: str) -> Built:
    """The network that these tensors are of. Raises as `load_network` does."""
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
