"""A checkpoint's layers by their names in LoRA files.

Source: spec networks.md 2.2: the path in the original file, with `_` for `.`.
"""

from collections.abc import Iterator

from torch import nn

from hexfusion.adapters.gpu.torch_backend.architectures.conversion import Locate, by_module
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.clip import clip_text_modules
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.open_clip import locate_open_clip
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.unet import unet_modules
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Layer

#: Prefixes of names in a checkpoint file that are not part of the layers' names.
_LEADS = ("cond_stage_model.", "conditioner.embedders.", "model.")
_JOINT = ".in_proj_weight"
_THIRDS = (".q_proj", ".k_proj", ".v_proj")


def layers_of(model: LoadedCheckpoint) -> dict[str, Layer]:
    """Every layer of UNet and text encoders that a LoRA can change, by name.

    OpenCLIP's joint projection is three layers here, named as LoRA files name them.
    """
    layers = dict(_named(model.unet, by_module(unet_modules(model.architecture.unet))))
    for text, encoder in zip(model.architecture.texts, model.text.encoders, strict=True):
        locate = (
            locate_open_clip(text.prefix)
            if text.open_clip
            else by_module(clip_text_modules(text.prefix))
        )
        layers |= dict(_named(encoder.model, locate))
    return layers


def _named(network: nn.Module, locate: Locate) -> Iterator[tuple[str, Layer]]:
    for path, module in network.named_modules():
        if isinstance(module, Layer):
            origin = locate(f"{path}.weight")
            name = origin.name
            if origin.third is None:
                name = name.removesuffix(".weight")
            else:
                name = name.removesuffix(_JOINT) + _THIRDS[origin.third]
            lead = next(each for each in _LEADS if name.startswith(each))
            yield name.removeprefix(lead).replace(".", "_"), module
