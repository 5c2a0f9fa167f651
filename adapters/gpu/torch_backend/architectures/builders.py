"""Building a checkpoint's networks: diffusers' and transformers' classes with the file's tensors.

Each is built on the meta device, so nothing is allocated or initialised before the file's tensors
are put in. Nothing is downloaded.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.architectures.conversion import (
    Locate,
    by_module,
    original_name,
)
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.clip import clip_text_modules
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.open_clip import locate_open_clip
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.unet import unet_modules
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.vae import vae_modules
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    GROUPS,
    UNET,
    VAE,
    TextArchitecture,
    UNetArchitecture,
    VaeArchitecture,
)
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.patches.adjustable_layers import (
    make_adjustable,
    prepare_attention,
    prepare_tokens,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import prepare_unet, prepare_vae
from hexfusion.adapters.gpu.torch_backend.sampling.call import Network
from hexfusion.domain.errors import CheckpointError

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.modeling_clip import CLIPTextModel

Module = TypeVar("Module", bound=nn.Module)

log = logging.getLogger(__name__)

#: Tensors in files that are not needed: position ids, OpenCLIP's image encoder, and the
#: classification head of a depth estimator's ViT.
_NEEDLESS = (
    ".position_ids",
    ".logit_scale",
    ".attn_mask",
    ".text_projection",
    ".pretrained.model.head.weight",
    ".pretrained.model.head.bias",
)


def build_unet(
    architecture: UNetArchitecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> "UNet2DConditionModel":
    """Build the UNet with the file's weights, on `device` and in `dtype`.

    Raises `CheckpointError` naming the file and the tensor that is missing or misshapen.
    """
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(
            in_channels=architecture.in_channels,
            out_channels=architecture.out_channels,
            block_out_channels=architecture.channels,
            layers_per_block=architecture.res_blocks,
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if any(depths) else "DownBlock2D"
                for depths in architecture.depths
            ),
            mid_block_type=(
                "UNetMidBlock2DCrossAttn" if architecture.middle_depth else "UNetMidBlock2D"
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if any(depths) else "UpBlock2D"
                for depths in reversed(architecture.up_depths)
            ),
            # diffusers reads the middle block's depth from the last entry, and ignores the
            # entry of a level without attention
            transformer_layers_per_block=(
                *architecture.depths[:-1],
                _last_depths(architecture, weights.file),
            ),
            reverse_transformer_layers_per_block=tuple(reversed(architecture.up_depths)),
            attention_head_dim=architecture.heads,  # a misnomer of diffusers: it is the head count
            cross_attention_dim=architecture.context_width,
            use_linear_projection=architecture.linear_projection,
            time_embedding_dim=architecture.time_width,
            norm_num_groups=GROUPS,
            # SDXL's vector goes through two linear layers and joins the time embedding
            class_embed_type=None if architecture.vector_width is None else "projection",
            projection_class_embeddings_input_dim=architecture.vector_width,
        )
    _resize_after_upsampling(unet)
    prepare_unet(unet)
    make_adjustable(unet)
    prepare_attention(unet)
    return filled_from_checkpoint(
        unet, by_module(unet_modules(architecture)), UNET, weights, device, dtype
    )


def build_vae(
    architecture: VaeArchitecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> "AutoencoderKL":
    """Build the VAE with the file's weights. Raises as `build_unet`."""
    vae = _empty_vae(architecture)
    prepare_vae(vae)
    return filled_from_checkpoint(
        vae, by_module(vae_modules(architecture)), VAE, weights, device, dtype
    )


def vae_tensor_names(architecture: VaeArchitecture) -> frozenset[str]:
    """The names that a VAE's tensors have in a file of its own, without a prefix."""
    modules = vae_modules(architecture, prefix="")
    return frozenset(original_name(modules, name) for name in _empty_vae(architecture).state_dict())


def _empty_vae(architecture: VaeArchitecture) -> "AutoencoderKL":
    """The network on the meta device, without weights."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(architecture.channels)
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=architecture.channels,
            layers_per_block=architecture.res_blocks,
            latent_channels=architecture.latent_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            norm_num_groups=GROUPS,
        )


def build_text(
    architecture: TextArchitecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> "tuple[CLIPTextModel, nn.Linear | None]":
    """Build the CLIP text model with the file's weights, and its projection, if any.

    Raises as `build_unet`.
    """
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=architecture.vocabulary,
        hidden_size=architecture.width,
        intermediate_size=architecture.intermediate,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        max_position_embeddings=architecture.positions,
        hidden_act=architecture.activation,
        projection_dim=architecture.projection or 0,
    )
    prefix = architecture.prefix
    locate = (
        locate_open_clip(prefix) if architecture.open_clip else by_module(clip_text_modules(prefix))
    )
    pools = architecture.projection is not None
    with torch.device("meta"):
        network = CLIPTextModelWithProjection(config) if pools else CLIPTextModel(config)
    make_adjustable(network)
    prepare_tokens(network)
    network = filled_from_checkpoint(network, locate, prefix, weights, device, dtype)
    positions = torch.arange(architecture.positions, device=device).expand(1, -1)
    for module in network.modules():  # not in the state dict, so still on the meta device
        if isinstance(getattr(module, "position_ids", None), Tensor):
            module.position_ids = positions
    return (network.text_model, network.text_projection) if pools else (network, None)


def predict(
    unet: "UNet2DConditionModel",
    x: Tensor,
    t: Tensor,
    context: Tensor,
    vector: Tensor | None = None,
) -> Tensor:
    """One UNet call.

    `x` is (rows, channels, h, w), `t` (rows,) float32 and not rounded, `context`
    (rows, tokens, width), `vector` (rows, width) for a UNet that takes one (SDXL). The result is
    float32, shaped as `x` up to its channels. The network computes in its own dtype (spec
    sampling.md 2.3 and 9).
    """
    dtype = unet.dtype
    labels = None if vector is None else vector.to(dtype)
    out = unet(x.to(dtype), t.float(), context.to(dtype), class_labels=labels, return_dict=False)[0]
    return out.float()


def answering(unet: "UNet2DConditionModel") -> Network:
    """The UNet as a `Network`, the last element of every chain of links (see `predict`)."""
    return lambda call: predict(unet, call.x, call.time, call.context, call.vector)


class UpsampleThenFit(nn.Module):
    """Up-sampling as in the original networks: double, convolve, then resize to the skip tensor.

    For sides that are not multiples of 8, diffusers' own module resizes before the convolution,
    which changes the picture (spec sampling.md 9).
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, hidden: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        hidden = self.conv(nn.functional.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        if output_size is None or hidden.shape[-2:] == tuple(output_size):
            return hidden
        return nn.functional.interpolate(hidden, size=tuple(output_size), mode="nearest")


def _resize_after_upsampling(unet: "UNet2DConditionModel") -> None:
    for block in unet.up_blocks:
        if block.upsamplers is not None:
            fitted = [UpsampleThenFit(upsampler.conv) for upsampler in block.upsamplers]
            block.upsamplers = nn.ModuleList(fitted)


def _last_depths(architecture: UNetArchitecture, file: str) -> tuple[int, ...]:
    last, middle = architecture.depths[-1], architecture.middle_depth
    if middle and last[0] and last[0] != middle:
        raise CheckpointError(
            file, f"has {last[0]} transformer blocks on its last level and {middle} in the middle"
        )
    return last if last[0] else (middle,)


def filled_from_checkpoint(
    network: Module,
    locate: Locate,
    prefix: str,
    weights: Weights,
    device: torch.device,
    dtype: torch.dtype,
) -> Module:
    """Fill the network with the file's tensors, whose names start with `prefix`.

    `locate` finds each parameter's tensor. Each is copied out of the mapped file, as that may be
    overwritten later. Raises `CheckpointError` naming a tensor that is missing or misshapen; logs
    a warning if tensors under `prefix` are unused.
    """
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for name, slot in network.state_dict().items():
        origin = locate(name)
        used.add(origin.name)
        stored = origin.stored_shape(slot.shape)
        tensor = origin.take(_fitted(weights.file, origin.name, weights[origin.name], stored))
        layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
        state[name] = tensor.to(device=device, dtype=dtype, copy=True, memory_format=layout)
    network.load_state_dict(state, strict=True, assign=True)
    _warn_of_unused(weights, prefix, used)
    return network.eval().requires_grad_(False)


def _fitted(file: str, name: str, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    if tensor.shape == torch.Size(shape):
        return tensor
    if len(shape) == 2 and tensor.shape == (*shape, 1, 1):  # attention kept as 1x1 convolutions
        return tensor[:, :, 0, 0]
    raise CheckpointError(file, f"has shape {list(tensor.shape)}, expected {list(shape)}", name)


def _warn_of_unused(weights: Weights, prefix: str, used: set[str]) -> None:
    """Log tensors of the file that the network has no parameter for: pictures may be wrong."""
    unused = [
        name
        for name in weights
        if name.startswith(prefix) and name not in used and not name.endswith(_NEEDLESS)
    ]
    if unused:
        log.warning("%s: %d tensors have no place, first %r", weights.file, len(unused), unused[0])
