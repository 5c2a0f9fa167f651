"""What a checkpoint is, read off the names and shapes of its tensors.

A family is a rule that recognises it and a function that infers its dimensions; adding one is a
line in `FAMILIES`. What shapes cannot tell follows the family's conventions, and a sibling
`.yaml` may correct it. Pure: no tensor is looked into. Source: spec networks.md 1.4.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from adapters.gpu.torch_backend.original_config import OriginalConfig
from domain.errors import CheckpointError

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP_TEXT = "cond_stage_model.transformer.text_model."

#: Group normalisation has 32 groups in every Stable Diffusion network.
GROUPS = 32
SD1_UNET_HEADS = 8
CLIP_HEAD_WIDTH = 64
SD1_SCALE_FACTOR = 0.18215


@dataclass(frozen=True)
class UNetArchitecture:
    """A latent-diffusion UNet. Tuples have one entry per resolution, highest first.

    `depths` counts transformer blocks per attention layer, 0 where a level has no attention.
    `context_width` is the width of the text conditioning, `time_width` of the time embedding.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    res_blocks: tuple[int, ...]
    depths: tuple[int, ...]
    middle_depth: int
    heads: tuple[int, ...]
    context_width: int
    time_width: int
    linear_projection: bool


@dataclass(frozen=True)
class VaeArchitecture:
    """A KL autoencoder. `channels` has one entry per resolution, highest first."""

    channels: tuple[int, ...]
    res_blocks: int
    latent_channels: int


@dataclass(frozen=True)
class TextArchitecture:
    """A CLIP text model."""

    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    intermediate: int
    activation: str


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a checkpoint's networks.

    `prediction` is what the UNet predicts: "epsilon" or "v". Latents are the VAE's mean times
    `scale_factor`.
    """

    family: str
    unet: UNetArchitecture
    vae: VaeArchitecture
    text: TextArchitecture
    prediction: str
    scale_factor: float


@dataclass(frozen=True)
class Shapes:
    """Tensor shapes of `file` by original name."""

    file: str
    shapes: Mapping[str, tuple[int, ...]]

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def __getitem__(self, name: str) -> tuple[int, ...]:
        """The shape, or a `CheckpointError` naming the missing tensor."""
        try:
            return self.shapes[name]
        except KeyError:
            raise CheckpointError(self.file, "is missing", name) from None

    def size(self, name: str, axis: int) -> int | None:
        """Length of one axis, None where there is no such tensor or axis."""
        shape = self.shapes.get(name, ())
        return shape[axis] if axis < len(shape) else None

    def count(self, pattern: str) -> int:
        """How many of `pattern.format(0)`, `pattern.format(1)` ... exist before the first gap."""
        found = 0
        while pattern.format(found) in self.shapes:
            found += 1
        return found


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
    return architecture


def _configured(architecture: Architecture, config: OriginalConfig) -> Architecture:
    unet, text = architecture.unet, architecture.text
    if config.unet_head_width is not None:
        heads = tuple(channels // config.unet_head_width for channels in unet.channels)
        unet = replace(unet, heads=heads)
    elif config.unet_heads is not None:
        unet = replace(unet, heads=(config.unet_heads,) * len(unet.channels))
    if config.text_heads is not None:
        text = replace(text, heads=config.text_heads)
    if config.text_activation is not None:
        text = replace(text, activation=config.text_activation)
    return replace(
        architecture,
        unet=unet,
        text=text,
        prediction=config.prediction or architecture.prediction,
        scale_factor=config.scale_factor or architecture.scale_factor,
    )


def _check_divisible(file: str, architecture: Architecture) -> None:
    unet, text = architecture.unet, architecture.text
    hint = "a sibling .yaml can give the head count"
    for channels, heads in zip(unet.channels, unet.heads, strict=True):
        if heads < 1 or channels % heads:
            raise CheckpointError(
                file, f"has a UNet level of {channels} channels for {heads} attention heads; {hint}"
            )
    if text.heads < 1 or text.width % text.heads:
        raise CheckpointError(
            file, f"has a text encoder {text.width} wide for {text.heads} attention heads; {hint}"
        )
    for channels in (*unet.channels, *architecture.vae.channels):
        if channels % GROUPS:
            raise CheckpointError(
                file, f"has {channels} channels, which {GROUPS} normalisation groups cannot share"
            )


def _infer_sd1(shapes: Shapes) -> Architecture:
    unet = infer_unet(shapes)
    return Architecture(
        family="SD1",
        unet=replace(unet, heads=(SD1_UNET_HEADS,) * len(unet.channels)),
        vae=infer_vae(shapes),
        text=infer_clip_text(shapes),
        prediction="epsilon",
        scale_factor=SD1_SCALE_FACTOR,
    )


def infer_unet(shapes: Shapes) -> UNetArchitecture:
    """Read a UNet off `model.diffusion_model.*`; its head counts are left at 1."""
    channels: list[int] = []
    res_blocks: list[int] = []
    depths: list[int] = []
    new_level = True
    for block in _input_blocks(shapes):
        if f"{block}.0.op.weight" in shapes:
            new_level = True
            continue
        width, depth = shapes[f"{block}.0.out_layers.3.weight"][0], _depth(shapes, f"{block}.1")
        if new_level:
            channels.append(width)
            res_blocks.append(0)
            depths.append(depth)
            new_level = False
        if (width, depth) != (channels[-1], depths[-1]):
            raise CheckpointError(
                shapes.file, "differs from its neighbours on the same level", f"{block}.0"
            )
        res_blocks[-1] += 1
    if not channels:
        raise CheckpointError(shapes.file, "is missing", f"{UNET}input_blocks.1.0.in_layers.2")
    middle = f"{UNET}middle_block.1"
    time_width, time_input = _matrix(shapes, f"{UNET}time_embed.0.weight")
    first = shapes[f"{UNET}input_blocks.0.0.weight"]
    if not first[0] == channels[0] == time_input:
        raise CheckpointError(
            shapes.file,
            f"has {first[0]} channels, but the next block {channels[0]} and the time embedding "
            f"{time_input}",
            f"{UNET}input_blocks.0.0.weight",
        )
    context = _matrix(shapes, f"{middle}.transformer_blocks.0.attn2.to_k.weight")[1]
    return UNetArchitecture(
        in_channels=first[1],
        out_channels=shapes[f"{UNET}out.2.weight"][0],
        channels=tuple(channels),
        res_blocks=tuple(res_blocks),
        depths=tuple(depths),
        middle_depth=_depth(shapes, middle),
        heads=(1,) * len(channels),
        context_width=context,
        time_width=time_width,
        linear_projection=len(shapes[f"{middle}.proj_in.weight"]) == 2,
    )


def infer_vae(shapes: Shapes) -> VaeArchitecture:
    """Read an autoencoder off `first_stage_model.*`."""
    down = f"{VAE}encoder.down."
    levels = shapes.count(down + "{}.block.0.conv1.weight")
    if not levels:
        raise CheckpointError(shapes.file, "is missing", f"{down}0.block.0.conv1.weight")
    blocks = [shapes.count(f"{down}{i}.block." + "{}.conv1.weight") for i in range(levels)]
    if len(set(blocks)) != 1:
        raise CheckpointError(shapes.file, f"has a VAE with {blocks} residual blocks per level")
    return VaeArchitecture(
        channels=tuple(shapes[f"{down}{i}.block.0.conv1.weight"][0] for i in range(levels)),
        res_blocks=blocks[0],
        latent_channels=_convolution(shapes, f"{VAE}decoder.conv_in.weight")[1],
    )


def infer_clip_text(shapes: Shapes) -> TextArchitecture:
    """Read a CLIP text model off `cond_stage_model.transformer.text_model.*`."""
    vocabulary, width = _matrix(shapes, f"{CLIP_TEXT}embeddings.token_embedding.weight")
    layers = shapes.count(CLIP_TEXT + "encoder.layers.{}.mlp.fc1.weight")
    return TextArchitecture(
        vocabulary=vocabulary,
        positions=_matrix(shapes, f"{CLIP_TEXT}embeddings.position_embedding.weight")[0],
        width=width,
        layers=layers,
        heads=max(1, width // CLIP_HEAD_WIDTH),
        intermediate=_matrix(shapes, f"{CLIP_TEXT}encoder.layers.0.mlp.fc1.weight")[0],
        activation="quick_gelu",
    )


def _input_blocks(shapes: Shapes) -> Iterator[str]:
    """`model.diffusion_model.input_blocks.N` for every block after the first convolution."""
    index = 1
    while True:
        block = f"{UNET}input_blocks.{index}"
        if f"{block}.0.op.weight" not in shapes and f"{block}.0.in_layers.2.weight" not in shapes:
            return
        yield block
        index += 1


def _depth(shapes: Shapes, layer: str) -> int:
    return shapes.count(layer + ".transformer_blocks.{}.attn1.to_q.weight")


def _matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    shape = shapes[name]
    if len(shape) != 2:
        raise CheckpointError(shapes.file, f"has shape {list(shape)}, not two axes", name)
    return shape[0], shape[1]


def _convolution(shapes: Shapes, name: str) -> tuple[int, int]:
    shape = shapes[name]
    if len(shape) != 4:
        raise CheckpointError(shapes.file, f"has shape {list(shape)}, not four axes", name)
    return shape[0], shape[1]


_FIRST_CONVOLUTION = f"{UNET}input_blocks.0.0.weight"
_UNCLIP = "embedder.model.ln_final.weight"
_SD2_TEXT = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"
_ALT_TEXT = "cond_stage_model.roberta.embeddings.word_embeddings.weight"


def _has(name: str) -> Callable[[Shapes], bool]:
    return lambda shapes: name in shapes


def _has_size(name: str, axis: int, size: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.size(name, axis) == size


def _both(*rules: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: all(rule(shapes) for rule in rules)


_SDXL = _has("conditioner.embedders.1.model.ln_final.weight")
_SD2 = _has_size(_SD2_TEXT, 1, 1024)

#: In the order of the tests: the first that holds decides.
FAMILIES: tuple[Family, ...] = (
    Family("SD3", _has(f"{UNET}x_embedder.proj.weight")),
    Family("SDXL inpainting", _both(_SDXL, _has_size(_FIRST_CONVOLUTION, 1, 9))),
    Family("SDXL", _SDXL),
    Family("SDXL refiner", _has("conditioner.embedders.0.model.ln_final.weight")),
    Family("SD2 depth", _has("depth_model.model.pretrained.act_postprocess3.0.project.0.bias")),
    Family("unCLIP-L", _has_size(_UNCLIP, 0, 768)),
    Family("unCLIP-H", _has_size(_UNCLIP, 0, 1024)),
    Family("SD2 inpainting", _both(_SD2, _has_size(_FIRST_CONVOLUTION, 1, 9))),
    Family("SD2", _SD2),
    Family("Alt-Diffusion", _has(_ALT_TEXT)),
    Family("SD1 inpainting", _has_size(_FIRST_CONVOLUTION, 1, 9), _infer_sd1),
    Family("SD1 instruct-pix2pix", _has_size(_FIRST_CONVOLUTION, 1, 8), _infer_sd1),
    Family("SD1", _has_size(_FIRST_CONVOLUTION, 1, 4), _infer_sd1),
)
