"""Hypernetworks: small networks that change the inputs of an attention's keys and values.

Source: spec networks.md 3.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.validation import check_finite, check_plain
from hexfusion.adapters.gpu.torch_backend.files.weights import read_torch_file
from hexfusion.domain.errors import CheckpointError

#: torch's activations by name in lower case, as in the files; "swish" is a name of the files' own.
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    **{
        kind.__name__.lower(): kind
        for kind in (
            nn.CELU, nn.ELU, nn.GELU, nn.GLU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish,
            nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.LogSoftmax, nn.Mish, nn.PReLU, nn.ReLU,
            nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softmax, nn.Softmax2d, nn.Softmin,
            nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
        )
    },
    "swish": nn.Hardswish,
}  # fmt: skip

_OLD_NAMES = (("linear1.", "linear.0."), ("linear2.", "linear.1."))
_MOST_LAYERS = 64


class Hypernetwork:
    """A hypernetwork applied with a `multiplier`: (keys, values) networks by input width."""

    def __init__(
        self, networks: Mapping[int, tuple[nn.Module, nn.Module]], multiplier: float
    ) -> None:
        self._networks = networks
        self._multiplier = multiplier

    def keys(self, context: Tensor) -> Tensor:
        """The input (..., width) for keys; unchanged where there is no network for that width."""
        return self._changed(context, 0)

    def values(self, context: Tensor) -> Tensor:
        """`keys` for values."""
        return self._changed(context, 1)

    def _changed(self, context: Tensor, which: int) -> Tensor:
        pair = self._networks.get(context.shape[-1])
        return context if pair is None else context + pair[which](context) * self._multiplier


def read_hypernetwork(
    path: Path, device: torch.device, dtype: torch.dtype
) -> Mapping[int, tuple[nn.Module, nn.Module]]:
    """The networks in a file, by width: for keys and for values.

    The file is read by torch's weights-only loader. Raises `CheckpointError`, naming file and
    tensor.
    """
    file = str(path)
    content = read_torch_file(path)
    if not isinstance(content, dict):
        raise CheckpointError(file, "holds no hypernetwork")
    networks: dict[int, tuple[nn.Module, nn.Module]] = {}
    for width, pair in content.items():
        match width, pair:
            case int(), ([{**keys}, {**values}] | ({**keys}, {**values})) if width > 0:
                first, second = (
                    _network(file, width, content, state, device, dtype) for state in (keys, values)
                )
                networks[width] = first, second
            case int(), _:
                raise CheckpointError(file, f"has no pair of networks for width {width}")
    if not networks:
        raise CheckpointError(file, "holds no hypernetwork")
    return networks


def _network(
    file: str,
    width: int,
    about: Mapping[object, object],
    state: Mapping[object, object],
    device: torch.device,
    dtype: torch.dtype,
) -> nn.Module:
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(file, "holds more than tensors", str(key))
        whole = check_finite(check_plain(value, file, key), file, key)
        tensors[_modern(key)] = whole.to(device, dtype, copy=True)
    with torch.device("meta"):
        linear = nn.Sequential(*_modules(file, width, about))
    network = nn.ModuleDict({"linear": linear})
    try:
        network.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        message = " ".join(str(error).split())
        raise CheckpointError(file, f"does not fit its own description: {message}") from None
    return linear.eval().requires_grad_(False)


def _modern(key: str) -> str:
    for old, new in _OLD_NAMES:
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def _modules(file: str, width: int, about: Mapping[object, object]) -> list[nn.Module]:
    """The layers: for each step of the structure a linear one, activation, norm and dropout."""
    structure = _structure(file, about)
    steps = len(structure) - 1
    dropout = _dropout(about, len(structure))
    activation = _activation(file, about.get("activation_func"))
    modules: list[nn.Module] = []
    for step, (before, after) in enumerate(pairwise(structure)):
        modules.append(nn.Linear(int(width * before), int(width * after)))
        if activation and (step < steps - 1 or about.get("activate_output", True)):
            modules.append(activation())
        if about.get("is_layer_norm", False):
            modules.append(nn.LayerNorm(int(width * after)))
        if dropout[step + 1] > 0:
            modules.append(
                nn.Dropout(dropout[step + 1])
            )  # no effect in eval mode, but it is numbered
    return modules


def _structure(file: str, about: Mapping[object, object]) -> Sequence[float]:
    match about.get("layer_structure"):
        case None:
            return 1, 2, 1
        case [*sizes] if 2 <= len(sizes) <= _MOST_LAYERS and all(map(_is_size, sizes)):
            return [float(size) for size in sizes if isinstance(size, int | float)]
    raise CheckpointError(file, "has a layer_structure that is no list of numbers")


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 < value <= 1024


def _dropout(about: Mapping[object, object], length: int) -> Sequence[float]:
    """A dropout probability for each entry of the structure."""
    match about.get("dropout_structure"):
        case [*given] if len(given) == length and all(isinstance(p, int | float) for p in given):
            return [min(max(p, 0.0), 1.0) for p in given if isinstance(p, int | float)]
    if not about.get("use_dropout", False):
        return [0.0] * length
    inner = [0.3] * (length - 2)
    if inner and not about.get("last_layer_dropout", False):
        inner[-1] = 0.0
    return [0.0, *inner, 0.0]


def _activation(file: str, name: object) -> type[nn.Module] | None:
    if name is None or name == "linear":
        return None
    if not isinstance(name, str) or name.lower() not in ACTIVATIONS:
        raise CheckpointError(file, f"has an activation {name!r} that we do not know")
    return ACTIVATIONS[name.lower()]
