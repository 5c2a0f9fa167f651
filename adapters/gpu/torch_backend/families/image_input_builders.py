"""Builders for `Family.image_input`: the source of a UNet's image channels, from a checkpoint.

Source: spec images.md 6.
"""

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Networks
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import (
    EditedPicture,
    ImageInput,
    MaskedPicture,
)
from hexfusion.adapters.gpu.torch_backend.families.family import ImageInputBuilder
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.domain.errors import CheckpointError


def no_image_input(networks: Networks, weights: Weights, device: torch.device) -> None:
    """For UNets that take the latent alone."""


def edited_picture(networks: Networks, weights: Weights, device: torch.device) -> ImageInput:
    """For UNets that take the latent of the picture to edit (InstructPix2Pix)."""
    return EditedPicture(networks.unet.out_channels)


def masked_picture(*, rounded: bool = False) -> ImageInputBuilder:
    """For inpainting UNets: a mask, and the masked picture. `rounded` as for `MaskedPicture`."""

    def build(networks: Networks, weights: Weights, device: torch.device) -> ImageInput:
        return MaskedPicture(rounded=rounded)

    return build


def by_channels(*, rounded: bool = False) -> ImageInputBuilder:
    """Chooses one of the above by the UNet's number of input channels.

    The builder raises `CheckpointError` if that number fits none of them.
    """
    masked = masked_picture(rounded=rounded)

    def build(networks: Networks, weights: Weights, device: torch.device) -> ImageInput | None:
        latent, taken = networks.unet.out_channels, networks.unet.in_channels
        kinds: dict[int, ImageInputBuilder] = {
            latent: no_image_input,
            2 * latent: edited_picture,
            2 * latent + 1: masked,
        }
        if taken not in kinds:
            expected = ", ".join(map(str, kinds))
            message = f"has a UNet that takes {taken} channels, expected one of {expected}"
            raise CheckpointError(weights.file, message)
        return kinds[taken](networks, weights, device)

    return build
