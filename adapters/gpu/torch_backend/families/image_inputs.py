"""What a family's UNet is shown beside the latent, built from a checkpoint: `Family.image_input`.

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


def nothing(networks: Networks, weights: Weights, device: torch.device) -> None:
    """The latent alone."""


def edited_picture(networks: Networks, weights: Weights, device: torch.device) -> ImageInput:
    """The picture to be edited."""
    return EditedPicture(networks.vae.latent_channels)


def masked_picture(*, rounded: bool = False) -> ImageInputBuilder:
    """A mask and what it leaves of a picture; for `rounded` see `MaskedPicture`."""

    def build(networks: Networks, weights: Weights, device: torch.device) -> ImageInput:
        return MaskedPicture(rounded=rounded)

    return build


def by_channels(*, rounded: bool = False) -> ImageInputBuilder:
    """Whichever of these the UNet has channels for, in families whose rule leaves that open.

    What it builds raises `CheckpointError` where the channels fit none of them.
    """
    masked = masked_picture(rounded=rounded)

    def build(networks: Networks, weights: Weights, device: torch.device) -> ImageInput | None:
        latent, taken = networks.vae.latent_channels, networks.unet.in_channels
        kinds: dict[int, ImageInputBuilder] = {
            latent: nothing,
            2 * latent: edited_picture,
            2 * latent + 1: masked,
        }
        if taken not in kinds:
            expected = ", ".join(map(str, kinds))
            message = f"has a UNet that takes {taken} channels, expected one of {expected}"
            raise CheckpointError(weights.file, message)
        return kinds[taken](networks, weights, device)

    return build
