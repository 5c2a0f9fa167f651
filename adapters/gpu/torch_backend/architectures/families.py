"""The families of checkpoints: how each is recognised, and what its shapes cannot tell.

A family is a rule that recognises it and a function that infers its dimensions; adding one is a
line in `FAMILIES`. What shapes cannot tell follows the family's conventions, and a sibling
`.yaml` may correct it. Source: spec networks.md 1.4.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    GROUPS,
    UNET,
    Architecture,
    Shapes,
    TextArchitecture,
    UNetArchitecture,
    infer_clip_text,
    infer_open_clip_text,
    infer_unet,
    infer_vae,
)
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.architectures.size_embedding import NUMBER_WIDTH
from hexfusion.adapters.gpu.torch_backend.architectures.vision_dimensions import (
    DEPTH,
    VISION,
    infer_depth,
    infer_vision,
)
from hexfusion.domain.errors import CheckpointError

SD2_TEXT = "cond_stage_model.model."
XL_TEXT = "conditioner.embedders."

#: Files that were diffusers' once lack the last layer: the one before it is what is taken.
SD2_TEXT_LAYERS = 24

#: Its encoder's statistics are in a file of their own.
UNCLIP_L = "SD2 unCLIP-L"

SD1_UNET_HEADS = 8
#: From SD2 on, a level has as many heads of this width as fit.
UNET_HEAD_WIDTH = 64
SCALE_FACTOR = 0.18215
XL_SCALE_FACTOR = 0.13025

#: Numbers in the vector: original size, crop and target size; the refiner's, size, crop, score.
XL_NUMBERS = 6
REFINER_NUMBERS = 5


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint. `infer` is None for one that is recognised but cannot run yet."""

    name: str
    detect: Callable[[Shapes], bool]
    infer: Callable[[Shapes], Architecture] | None = None


def recognise(shapes: Shapes) -> Family:
    """The first family whose rule holds. Raises `CheckpointError` if there is none."""
    for family in FAMILIES:
        if family.detect(shapes):
            return family
    raise CheckpointError(shapes.file, "is not a Stable Diffusion checkpoint of any known family")


def infer_architecture(shapes: Shapes, config: OriginalConfig) -> Architecture:
    """The architecture of a checkpoint, corrected by its sibling `.yaml`.

    Raises `CheckpointError` for an unknown family, one that is not supported, a tensor the
    structure needs and the file lacks, and dimensions no network of the family can have.
    """
    family = recognise(shapes)
    if family.infer is None:
        raise CheckpointError(
            shapes.file, f"is of the {family.name} family, which is not supported yet"
        )
    architecture = _configured(replace(family.infer(shapes), family=family.name), config)
    _check_divisible(shapes.file, architecture)
    _check_widths(shapes.file, architecture)
    return architecture


def _configured(architecture: Architecture, config: OriginalConfig) -> Architecture:
    unet = architecture.unet
    if config.unet_head_width is not None:
        heads = tuple(channels // config.unet_head_width for channels in unet.channels)
        unet = replace(unet, heads=heads)
    elif config.unet_heads is not None:
        unet = replace(unet, heads=(config.unet_heads,) * len(unet.channels))
    return replace(
        architecture,
        unet=unet,
        texts=tuple(_configured_text(text, config) for text in architecture.texts),
        prediction=config.prediction or architecture.prediction,
        scale_factor=config.scale_factor or architecture.scale_factor,
    )


def _configured_text(text: TextArchitecture, config: OriginalConfig) -> TextArchitecture:
    if text.open_clip:  # the configuration beside a file is of transformers' kind
        return text
    return replace(
        text,
        heads=text.heads if config.text_heads is None else config.text_heads,
        activation=config.text_activation or text.activation,
    )


def _check_divisible(file: str, architecture: Architecture) -> None:
    unet = architecture.unet
    hint = "a sibling .yaml can give the head count"
    for channels, heads in zip(unet.channels, unet.heads, strict=True):
        if heads < 1 or channels % heads:
            raise CheckpointError(
                file, f"has a UNet level of {channels} channels for {heads} attention heads; {hint}"
            )
    for text in architecture.texts:
        if text.heads < 1 or text.width % text.heads:
            raise CheckpointError(
                file,
                f"has a text encoder {text.width} wide for {text.heads} attention heads; {hint}",
            )
    for channels in (*unet.channels, *architecture.vae.channels):
        if channels % GROUPS:
            raise CheckpointError(
                file, f"has {channels} channels, which {GROUPS} normalisation groups cannot share"
            )


def _check_widths(file: str, architecture: Architecture) -> None:
    """Whether what the text encoders give is what the UNet takes."""
    unet, width = architecture.unet, sum(text.width for text in architecture.texts)
    if unet.context_width != width:
        raise CheckpointError(
            file, f"has a UNet for texts {unet.context_width} wide, but its encoders give {width}"
        )
    vector = _vector_width(architecture)
    if unet.vector_width != vector:
        raise CheckpointError(
            file, f"has a UNet for vectors of {unet.vector_width} elements, expected {vector}"
        )


def _vector_width(architecture: Architecture) -> int | None:
    if architecture.vision:  # what the picture says, and how much noise was added to it
        return 2 * architecture.vision.projection
    pooled = architecture.texts[-1].projection
    return None if pooled is None else pooled + NUMBER_WIDTH * architecture.numbers


def _infer_sd1(shapes: Shapes) -> Architecture:
    unet = infer_unet(shapes)
    return Architecture(
        family="SD1",
        unet=replace(unet, heads=(SD1_UNET_HEADS,) * len(unet.channels)),
        vae=infer_vae(shapes),
        texts=(infer_clip_text(shapes),),
        prediction="epsilon",
        scale_factor=SCALE_FACTOR,
    )


def _infer_sd2(shapes: Shapes) -> Architecture:
    if f"{UNET}label_emb.0.0.weight" in shapes and f"{VISION}proj" not in shapes:
        message = "is missing: the image encoder of this unCLIP is not in the file"
        raise CheckpointError(shapes.file, message, f"{VISION}proj")
    text = infer_open_clip_text(shapes, SD2_TEXT, pools=False)
    return Architecture(
        family="SD2",
        unet=_unet_of_wide_heads(shapes),
        vae=infer_vae(shapes),
        texts=(replace(text, cut=text.layers == SD2_TEXT_LAYERS - 1),),
        prediction=None,
        scale_factor=SCALE_FACTOR,
    )


def _infer_sd2_inpainting(shapes: Shapes) -> Architecture:
    return replace(_infer_sd2(shapes), prediction="epsilon")


def _infer_depth(shapes: Shapes) -> Architecture:
    if _DEPTH_READOUT not in shapes:
        message = "is missing: the depth estimator of this depth model is not in the file"
        raise CheckpointError(shapes.file, message, _DEPTH_READOUT)
    return replace(_infer_sd2(shapes), prediction="epsilon", depth=infer_depth(shapes))


def _infer_unclip_l(shapes: Shapes) -> Architecture:
    vision = infer_vision(shapes, open_clip=False)
    return replace(_infer_sd2(shapes), prediction="v", vision=vision)


def _infer_unclip_h(shapes: Shapes) -> Architecture:
    vision = infer_vision(shapes, open_clip=True)
    return replace(_infer_sd2(shapes), prediction="v", vision=vision)


def _infer_sdxl(shapes: Shapes) -> Architecture:
    clip = infer_clip_text(shapes, f"{XL_TEXT}0.transformer.text_model.")
    open_clip = infer_open_clip_text(shapes, f"{XL_TEXT}1.model.", pools=True)
    return _xl(shapes, clip, open_clip, numbers=XL_NUMBERS)


def _infer_refiner(shapes: Shapes) -> Architecture:
    open_clip = infer_open_clip_text(shapes, f"{XL_TEXT}0.model.", pools=True)
    return _xl(shapes, open_clip, numbers=REFINER_NUMBERS)


def _xl(shapes: Shapes, *texts: TextArchitecture, numbers: int) -> Architecture:
    return Architecture(
        family="SDXL",
        unet=_unet_of_wide_heads(shapes),
        vae=infer_vae(shapes),
        texts=tuple(replace(text, final_norm=False) for text in texts),
        prediction="epsilon",
        scale_factor=XL_SCALE_FACTOR,
        numbers=numbers,
    )


def _unet_of_wide_heads(shapes: Shapes) -> UNetArchitecture:
    unet = infer_unet(shapes)
    heads = tuple(max(1, channels // UNET_HEAD_WIDTH) for channels in unet.channels)
    return replace(unet, heads=heads)


_FIRST_CONVOLUTION = f"{UNET}input_blocks.0.0.weight"
_DEPTH_READOUT = f"{DEPTH}pretrained.act_postprocess3.0.project.0.bias"
_UNCLIP = "embedder.model.ln_final.weight"
_MIDDLE_ATTENTION = f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q.weight"
_SD2_BLOCK = f"{SD2_TEXT}transformer.resblocks.0.attn.in_proj_weight"
_ALT_TEXT = "cond_stage_model.roberta.embeddings.word_embeddings.weight"


def _has(name: str) -> Callable[[Shapes], bool]:
    return lambda shapes: name in shapes


def _has_size(name: str, axis: int, size: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.size(name, axis) == size


def _both(*rules: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: all(rule(shapes) for rule in rules)


def _either(*rules: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: any(rule(shapes) for rule in rules)


def _lacks(name: str) -> Callable[[Shapes], bool]:
    return lambda shapes: name not in shapes


_SDXL = _has(f"{XL_TEXT}1.model.ln_final.weight")
_SD2 = _has(_SD2_BLOCK)


def _sd2_with_channels(count: int) -> Callable[[Shapes], bool]:
    return _both(_SD2, _has_size(_FIRST_CONVOLUTION, 1, count))


#: In the order of the tests: the first that holds decides.
FAMILIES: tuple[Family, ...] = (
    Family("SD3", _has(f"{UNET}x_embedder.proj.weight")),
    Family("SDXL inpainting", _both(_SDXL, _has_size(_FIRST_CONVOLUTION, 1, 9)), _infer_sdxl),
    Family("SSD-1B", _both(_SDXL, _lacks(_MIDDLE_ATTENTION)), _infer_sdxl),
    Family("SDXL", _SDXL, _infer_sdxl),
    Family("SDXL refiner", _has(f"{XL_TEXT}0.model.ln_final.weight"), _infer_refiner),
    Family("SD2 depth", _either(_has(_DEPTH_READOUT), _sd2_with_channels(5)), _infer_depth),
    Family(UNCLIP_L, _has_size(_UNCLIP, 0, 768), _infer_unclip_l),
    Family("SD2 unCLIP-H", _has_size(_UNCLIP, 0, 1024), _infer_unclip_h),
    Family("SD2 inpainting", _sd2_with_channels(9), _infer_sd2_inpainting),
    Family("SD2", _SD2, _infer_sd2),
    Family("Alt-Diffusion", _has(_ALT_TEXT)),
    Family("SD1 inpainting", _has_size(_FIRST_CONVOLUTION, 1, 9), _infer_sd1),
    Family("SD1 instruct-pix2pix", _has_size(_FIRST_CONVOLUTION, 1, 8), _infer_sd1),
    Family("SD1", _has_size(_FIRST_CONVOLUTION, 1, 4), _infer_sd1),
)
