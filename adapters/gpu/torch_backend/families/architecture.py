"""The architecture of a checkpoint: its family and the dimensions of its networks.

What tensor shapes do not determine follows the family, and a sibling `.yaml` can override it.
Source: spec networks.md 1.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    GROUPS,
    Networks,
    Shapes,
    TextArchitecture,
    VaeArchitecture,
)
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.architectures.size_embedding import NUMBER_WIDTH
from hexfusion.adapters.gpu.torch_backend.families.family import Family, Unsupported
from hexfusion.adapters.gpu.torch_backend.families.registry import recognise
from hexfusion.domain.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Architecture(Networks):
    """Everything needed to build a checkpoint's networks and to use them.

    `prediction` is what the UNet predicts: "epsilon" or "v"; None means it must be measured.
    Latents are the VAE's mean times `scale_factor`.
    """

    family: Family
    prediction: str | None
    scale_factor: float


def infer_architecture(shapes: Shapes, config: OriginalConfig) -> Architecture:
    """The architecture of a checkpoint, corrected by its sibling `.yaml`.

    Raises `CheckpointError` for an unknown family, one that is not supported, a tensor the
    structure needs and the file lacks, and dimensions no network of the family can have.
    """
    family = recognise(shapes)
    if isinstance(family, Unsupported):
        raise CheckpointError(
            shapes.file, f"is of the {family.name} family, which is not supported yet"
        )
    networks = _configured(family.infer(shapes), config)
    _check_divisible(shapes.file, networks)
    _check_widths(shapes.file, networks)
    _check_latents(shapes.file, "UNet", networks.unet.out_channels, family)
    if networks.vae is not None:
        check_vae(shapes.file, networks.vae, family)
    return Architecture(
        **vars(networks),
        family=family,
        prediction=config.prediction or family.prediction,
        scale_factor=config.scale_factor or family.latents.scale_factor,
    )


def _configured(networks: Networks, config: OriginalConfig) -> Networks:
    unet = networks.unet
    if config.unet_head_width is not None:
        heads = tuple(channels // config.unet_head_width for channels in unet.channels)
        unet = replace(unet, heads=heads)
    elif config.unet_heads is not None:
        unet = replace(unet, heads=(config.unet_heads,) * len(unet.channels))
    texts = tuple(_configured_text(text, config) for text in networks.texts)
    return replace(networks, unet=unet, texts=texts)


def _configured_text(text: TextArchitecture, config: OriginalConfig) -> TextArchitecture:
    if text.open_clip:  # the configuration's values are of transformers' encoder
        return text
    return replace(
        text,
        heads=text.heads if config.text_heads is None else config.text_heads,
        activation=config.text_activation or text.activation,
    )


def _check_divisible(file: str, networks: Networks) -> None:
    unet = networks.unet
    hint = "a sibling .yaml can give the head count"
    for channels, heads in zip(unet.channels, unet.heads, strict=True):
        if heads < 1 or channels % heads:
            raise CheckpointError(
                file, f"has a UNet level of {channels} channels for {heads} attention heads; {hint}"
            )
    for text in networks.texts:
        if text.heads < 1 or text.width % text.heads:
            raise CheckpointError(
                file,
                f"has a text encoder {text.width} wide for {text.heads} attention heads; {hint}",
            )
    _check_groups(file, unet.channels)


def _check_widths(file: str, networks: Networks) -> None:
    """Raises `CheckpointError` unless the encoders' widths are those that the UNet takes."""
    unet, width = networks.unet, sum(text.width for text in networks.texts)
    if unet.context_width != width:
        raise CheckpointError(
            file, f"has a UNet for texts {unet.context_width} wide, but its encoders give {width}"
        )
    vector = _vector_width(networks)
    if unet.vector_width != vector:
        raise CheckpointError(
            file, f"has a UNet for vectors of {unet.vector_width} elements, expected {vector}"
        )


def _vector_width(networks: Networks) -> int | None:
    if networks.vision:  # the picture's embedding, and its noise level
        return 2 * networks.vision.projection
    pooled = networks.texts[-1].projection
    return None if pooled is None else pooled + NUMBER_WIDTH * networks.numbers


def check_vae(file: str, vae: VaeArchitecture, family: Family) -> None:
    """Raises `CheckpointError` unless a VAE in `file` can decode the family's latents."""
    _check_groups(file, vae.channels)
    _check_latents(file, "VAE", vae.latent_channels, family)


def _check_groups(file: str, widths: Sequence[int]) -> None:
    for channels in widths:
        if channels % GROUPS:
            raise CheckpointError(
                file, f"has {channels} channels, which {GROUPS} normalisation groups cannot share"
            )


def _check_latents(file: str, network: str, made: int, family: Family) -> None:
    expected = family.latents.channels
    if made != expected:
        raise CheckpointError(
            file, f"has a {network} for latents of {made} channels, expected {expected}"
        )
