"""SwinIR, DAT, ScuNET and some forty other networks, built by the optional library spandrel.

It is no dependency of ours: it requires torchvision, whose wheel breaks diffusers beside a torch
from elsewhere (docs/adr/0009). Two of its networks use torchvision; without those two it works.
"""

import importlib
import importlib.util
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import Built
from hexfusion.domain.errors import CheckpointError, ModelUnavailable

INSTALL = "pip install 'hexfusion[upscalers]' && pip install --no-deps spandrel"

#: Networks for inpainting and faces, which are not used here and need torchvision.
_LEFT_OUT = ("LaMa", "RestoreFormer")

_importing = threading.Lock()


def build(state: StateDict, file: str) -> Built:
    """The network with these tensors, built by spandrel.

    Raises `ModelUnavailable` without spandrel, `CheckpointError` for an unknown architecture.
    """
    spandrel = library(file)
    try:
        model = spandrel.MAIN_REGISTRY.load(dict(state))
    except spandrel.UnsupportedModelError as error:
        raise CheckpointError(file, "is no upscaling network that is known here") from error
    except Exception as error:  # its builders trip over whatever a damaged file lacks
        first_line, *_ = (str(error) or type(error).__name__).splitlines()
        raise CheckpointError(file, f"is damaged: {first_line}") from error
    colours = (model.input_channels, model.output_channels) == (3, 3)
    if not isinstance(model, spandrel.ImageModelDescriptor) or not colours:
        raise CheckpointError(file, f"is a {model.architecture.name}, which enlarges no pictures")
    model.model.float()
    return Built(model.architecture.name, model.model, model.scale, model.supports_half, run=model)


def _find() -> ModuleSpec | None:
    return importlib.util.find_spec("spandrel")


def library(file: str) -> Any:
    """The spandrel library, for loading `file`. Raises `ModelUnavailable` if not installed."""
    with _importing:
        if _find() is None:
            message = f"{file} is no ESRGAN; other networks need spandrel: {INSTALL}"
            raise ModelUnavailable(message)
        for name in _LEFT_OUT:
            sys.modules.setdefault(f"spandrel.architectures.{name}", _left_out(name))
        return importlib.import_module("spandrel")


def _left_out(name: str) -> ModuleType:
    """A stand-in module whose architecture detects no file."""
    module = ModuleType(f"spandrel.architectures.{name}")

    class Nothing:
        id = name

        def detect(self, state: object) -> bool:
            return False

    setattr(module, f"{name}Arch", Nothing)
    return module
