"""Extra input channels of UNets for inpainting, editing and depth, made from a pass's pictures.

Source: spec images.md 6, sampling.md 6.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from PIL.Image import Image
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.conditioning.depth import DepthEstimator, depth_channels
from hexfusion.adapters.gpu.torch_backend.conditioning.inpainting import (
    editing_channels,
    grey_pictures,
    inpainting_channels,
    masked_pictures,
)
from hexfusion.adapters.gpu.torch_backend.latents.vae import Retry
from hexfusion.adapters.gpu.torch_backend.sampling.call import Call, Link, Network
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.geometry import CELL

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation


@dataclass(frozen=True, kw_only=True, eq=False)
class PassImages:
    """The pictures and mask of a pass, and what is needed to encode them.

    `pictures` has one for each of the `count` images, or is None for txt2img. `mask` is white where
    they are masked; None masks everything. `mask_weight` (0 to 1) is how grey masked pixels become,
    `round_mask` rounds the mask to 0 or 1. `size` is the latent's (height, width) in cells.
    Pictures are encoded by `vae` with noise from `generator`; after NaN, by the VAE that `retry`
    gives. The channels are made on `device`.
    """

    pictures: Sequence[Image] | None
    mask: Image | None
    count: int
    size: tuple[int, int]
    mask_weight: float
    round_mask: bool
    vae: "AutoencoderKL"
    scale_factor: float
    generator: torch.Generator
    retry: Retry | None
    device: torch.device


class ImageInput(Protocol):
    """Makes the input channels that a family's UNet takes after the latent's own.

    `edits`: guidance by the picture (`image_cfg_scale`) applies. `fact` is the infotext label that
    is written when the channels are used, or None.
    """

    edits: ClassVar[bool]
    fact: ClassVar[str | None]

    def __call__(self, images: PassImages) -> Tensor:
        """The channels: (B, channels, height, width), the latent's size.

        Raises `InvalidRequest` if a picture is needed and there is none, and as `encode`.
        """


@dataclass(frozen=True, eq=False)
class MaskedPicture:
    """Inpainting: the mask, and the latent of the picture with the masked part grey.

    Without a picture, all is grey. `rounded`: the mask is always rounded (SDXL).
    """

    rounded: bool = False

    edits: ClassVar[bool] = False
    fact: ClassVar[str | None] = "Conditional mask weight"

    def __call__(self, images: PassImages) -> Tensor:
        height, width = images.size
        if images.pictures is None:
            pictures = grey_pictures(images.count, height * CELL, width * CELL)
            share = torch.ones(1, 1)
        else:
            pictures, share = masked_pictures(
                images.pictures,
                images.mask,
                weight=images.mask_weight,
                rounded=self.rounded or images.round_mask,
            )
        return inpainting_channels(
            images.vae,
            pictures,
            share,
            images.size,
            images.scale_factor,
            images.generator,
            retry=images.retry,
        )


@dataclass(frozen=True, eq=False)
class EditedPicture:
    """InstructPix2Pix (arXiv:2211.09800): the latent of the picture to edit, zeros without one.

    `channels` is the latent's number of channels.
    """

    channels: int

    edits: ClassVar[bool] = True
    fact: ClassVar[str | None] = None

    def __call__(self, images: PassImages) -> Tensor:
        if images.pictures is None:
            return torch.zeros(images.count, self.channels, *images.size, device=images.device)
        return editing_channels(images.vae, images.pictures, images.size, retry=images.retry)


@dataclass(frozen=True, eq=False)
class Depth:
    """SD2 depth: the picture's depth map, by the checkpoint's own estimator."""

    estimator: DepthEstimator

    @property
    def network(self) -> "DPTForDepthEstimation":
        """The estimator's network."""
        return self.estimator.network

    edits: ClassVar[bool] = False
    fact: ClassVar[str | None] = None

    def __call__(self, images: PassImages) -> Tensor:
        if images.pictures is None:
            message = "this checkpoint paints by the depth of a picture: use img2img"
            raise InvalidRequest("init_images", message)
        return depth_channels(self.estimator, images.pictures, images.size).to(images.device)


def append_channels(image_channels: Tensor | None) -> Link:
    """A link that appends each row's `image_channels` (B, channels, H, W) to its latent.

    Rows that are `blind` get zeros. With None the call is passed on unchanged.
    """

    def link(call: Call, answer: Network) -> Tensor:
        if image_channels is None:
            return answer(call)
        channels = image_channels[call.images]
        blind = [index for index, row in enumerate(call.rows) if row.blind]
        if blind:
            channels[blind] = 0.0
        return answer(replace(call, x=torch.cat([call.x, channels], dim=1)))

    return link
