"""What the UNets of some families see beside the latent, and how a call of theirs gets it.

Source: spec images.md 6, sampling.md 6.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from PIL.Image import Image
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.conditioning.depth import DepthEstimator, beside_depth
from hexfusion.adapters.gpu.torch_backend.conditioning.inpainting import (
    beside_editing,
    beside_inpainting,
    grey_pictures,
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
class Scene:
    """What a pass has to show: the pictures it starts from, one for each of its `count`, or None.

    `mask` is what is masked of them, None for all; `mask_weight` how grey that becomes and
    `round_mask` whether a pixel is masked wholly or not at all. `size` is the latent's (height,
    width) in cells. What is encoded goes through `vae`, draws from `generator`, and is tried again
    by the VAE that `retry` gives. The answer is wanted on `device`.
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
    """What a family's UNet is shown: a tensor (B, channels, height, width) behind the latent's own
    channels.

    `edits` says that guidance by the picture (`image_cfg_scale`) applies; `fact` is the infotext
    label of what showing it depends on.
    """

    edits: ClassVar[bool]
    fact: ClassVar[str | None]

    def __call__(self, scene: Scene) -> Tensor:
        """Raises `InvalidRequest` where it needs a picture and there is none; as `encode`."""


@dataclass(frozen=True, eq=False)
class MaskedPicture:
    """A mask, and the latent of what it leaves; grey where there is no picture. `rounded` is of
    families whose mask is rounded whatever a job says (SDXL)."""

    rounded: bool = False

    edits: ClassVar[bool] = False
    fact: ClassVar[str | None] = "Conditional mask weight"

    def __call__(self, scene: Scene) -> Tensor:
        height, width = scene.size
        if scene.pictures is None:
            pictures = grey_pictures(scene.count, height * CELL, width * CELL)
            share = torch.ones(1, 1)
        else:
            pictures, share = masked_pictures(
                scene.pictures,
                scene.mask,
                weight=scene.mask_weight,
                rounded=self.rounded or scene.round_mask,
            )
        return beside_inpainting(
            scene.vae,
            pictures,
            share,
            scene.size,
            scene.scale_factor,
            scene.generator,
            retry=scene.retry,
        )


@dataclass(frozen=True, eq=False)
class EditedPicture:
    """The latent of the picture that is to be edited (InstructPix2Pix, arXiv:2211.09800); zeros
    where there is none. It has so many `channels`."""

    channels: int

    edits: ClassVar[bool] = True
    fact: ClassVar[str | None] = None

    def __call__(self, scene: Scene) -> Tensor:
        if scene.pictures is None:
            return torch.zeros(scene.count, self.channels, *scene.size, device=scene.device)
        return beside_editing(scene.vae, scene.pictures, scene.size, retry=scene.retry)


@dataclass(frozen=True, eq=False)
class Depth:
    """How far away things in the picture are, as the checkpoint's own estimator sees it."""

    estimator: DepthEstimator

    @property
    def network(self) -> "DPTForDepthEstimation":
        """The estimator's."""
        return self.estimator.network

    edits: ClassVar[bool] = False
    fact: ClassVar[str | None] = None

    def __call__(self, scene: Scene) -> Tensor:
        if scene.pictures is None:
            message = "this checkpoint paints by the depth of a picture: use img2img"
            raise InvalidRequest("init_images", message)
        return beside_depth(self.estimator, scene.pictures, scene.size).to(scene.device)


def showing(beside: Tensor | None) -> Link:
    """A link that puts each row's picture of `beside` (B, channels, H, W) behind its latent; zeros
    for rows that are blind. With None it changes nothing."""

    def link(call: Call, answer: Network) -> Tensor:
        if beside is None:
            return answer(call)
        shown = beside[call.images]
        blind = [index for index, row in enumerate(call.rows) if row.blind]
        if blind:
            shown[blind] = 0.0
        return answer(replace(call, x=torch.cat([call.x, shown], dim=1)))

    return link
