"""Inferring the dimensions of a checkpoint's networks from its tensors' names and shapes.

No tensor's values are read. Source: spec networks.md 1.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hexfusion.domain.errors import CheckpointError

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP_TEXT = "cond_stage_model.transformer.text_model."

#: Group normalisation has 32 groups in every Stable Diffusion network.
GROUPS = 32
CLIP_HEAD_WIDTH = 64


@dataclass(frozen=True)
class UNetArchitecture:
    """A latent-diffusion UNet. Tuples have one entry per resolution, highest first.

    `depths` counts the transformer blocks of each attention layer in the input blocks, in order,
    `up_depths` in the output blocks, `middle_depth` in the middle block; 0 without attention. A
    pruned network (SSD-1B) has no middle attention, nor the block after it. `context_width` is the
    width of the text conditioning, `time_width` of the time embedding, `vector_width` of the vector
    that is added to the latter, None if the network takes none.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    res_blocks: tuple[int, ...]
    depths: tuple[tuple[int, ...], ...]
    up_depths: tuple[tuple[int, ...], ...]
    middle_depth: int
    heads: tuple[int, ...]
    context_width: int
    time_width: int
    linear_projection: bool
    vector_width: int | None = None


@dataclass(frozen=True)
class VaeArchitecture:
    """A KL autoencoder. `channels` has one entry per resolution, highest first."""

    channels: tuple[int, ...]
    res_blocks: int
    latent_channels: int


@dataclass(frozen=True)
class TextArchitecture:
    """A CLIP text model, whose tensors' names start with `prefix`.

    `open_clip`: they are named as by OpenCLIP, not as by transformers. `projection` is the width
    of pooled vectors, None if they are not used. `final_norm`: the chosen layer's output goes
    through the final norm. `cut`: the last layer is not in the file.
    """

    prefix: str
    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    intermediate: int
    activation: str
    open_clip: bool = False
    projection: int | None = None
    final_norm: bool = True
    cut: bool = False


@dataclass(frozen=True)
class VisionArchitecture:
    """A CLIP image encoder (a ViT) in OpenCLIP's layout, for square pictures of `side` pixels."""

    prefix: str
    width: int
    layers: int
    heads: int
    intermediate: int
    activation: str
    patch: int
    side: int
    projection: int


@dataclass(frozen=True)
class DepthArchitecture:
    """A DPT-hybrid: a ResNet of three stages, then a ViT, and layers that fuse their features.

    `grid` is the side of the square of patches it was trained on, `neck` has the channels of the
    four feature maps that are fused, `fusion` is the channels of the fused ones.
    """

    prefix: str
    stem: int
    stages: tuple[int, ...]
    stage_blocks: tuple[int, ...]
    width: int
    layers: int
    heads: int
    intermediate: int
    grid: int
    neck: tuple[int, ...]
    fusion: int


@dataclass(frozen=True)
class Networks:
    """The dimensions of all of a checkpoint's networks.

    `vae` is None for a file that holds none, or only a part of one: another file's is used then.
    `texts` are the text models, in the order in which their outputs are concatenated; `vision` is
    an unCLIP's image encoder, `depth` a depth model's estimator. `numbers` is how many numbers
    (sizes, crop, score) are embedded in the vector after the pooled text.
    """

    unet: UNetArchitecture
    vae: VaeArchitecture | None
    texts: tuple[TextArchitecture, ...]
    numbers: int = 0
    vision: VisionArchitecture | None = None
    depth: DepthArchitecture | None = None


@dataclass(frozen=True)
class Shapes:
    """The shapes of a file's tensors by their original names."""

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
        """The length of one axis; None if there is no such tensor or axis."""
        shape = self.shapes.get(name, ())
        return shape[axis] if axis < len(shape) else None

    def count(self, pattern: str) -> int:
        """How many of `pattern.format(0)`, `pattern.format(1)` ... exist before the first gap."""
        found = 0
        while pattern.format(found) in self.shapes:
            found += 1
        return found


def infer_unet(shapes: Shapes) -> UNetArchitecture:
    """Infer a UNet from `model.diffusion_model.*`. Head counts, which shapes do not show, are 1.

    Raises `CheckpointError` naming the tensor that is missing or misshapen.
    """
    channels: list[int] = []
    depths: list[list[int]] = []
    attentive: list[str] = []
    new_level = True
    for block in _input_blocks(shapes):
        if f"{block}.0.op.weight" in shapes:
            new_level = True
            continue
        width, depth = shapes[f"{block}.0.out_layers.3.weight"][0], _depth(shapes, f"{block}.1")
        if new_level:
            channels.append(width)
            depths.append([])
            new_level = False
        if width != channels[-1] or (depths[-1] and bool(depth) != bool(depths[-1][0])):
            raise CheckpointError(
                shapes.file, "differs from its neighbours on the same level", f"{block}.0"
            )
        depths[-1].append(depth)
        attentive += [f"{block}.1"] if depth else []
    if not channels:
        raise CheckpointError(shapes.file, "is missing", f"{UNET}input_blocks.1.0.in_layers.2")
    middle = f"{UNET}middle_block.1"
    time_width, time_input = matrix(shapes, f"{UNET}time_embed.0.weight")
    first = shapes[f"{UNET}input_blocks.0.0.weight"]
    if not first[0] == channels[0] == time_input:
        raise CheckpointError(
            shapes.file,
            f"has {first[0]} channels, but the next block {channels[0]} and the time embedding "
            f"{time_input}",
            f"{UNET}input_blocks.0.0.weight",
        )
    middle_depth = _depth(shapes, middle)
    attention = middle if middle_depth or not attentive else attentive[0]
    context = matrix(shapes, f"{attention}.transformer_blocks.0.attn2.to_k.weight")[1]
    return UNetArchitecture(
        in_channels=first[1],
        out_channels=shapes[f"{UNET}out.2.weight"][0],
        channels=tuple(channels),
        res_blocks=tuple(map(len, depths)),
        depths=tuple(map(tuple, depths)),
        up_depths=_up_depths(shapes, depths),
        middle_depth=middle_depth,
        heads=(1,) * len(channels),
        context_width=context,
        time_width=time_width,
        linear_projection=len(shapes[f"{attention}.proj_in.weight"]) == 2,
        vector_width=_vector_width(shapes),
    )


def _up_depths(shapes: Shapes, depths: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """`UNetArchitecture.up_depths`: each level has one output block more than input blocks.

    Output blocks are numbered from the lowest resolution.
    """
    found: list[tuple[int, ...]] = []
    index = 0
    for level in reversed(depths):
        blocks = range(index, index + len(level) + 1)
        layers = tuple(_depth(shapes, f"{UNET}output_blocks.{block}.1") for block in blocks)
        if any(bool(depth) != bool(level[0]) for depth in layers):
            name = f"{UNET}output_blocks.{index}"
            raise CheckpointError(shapes.file, "differs from its level on the way down", name)
        found.insert(0, layers)
        index = blocks.stop
    return tuple(found)


def infer_vae(shapes: Shapes) -> VaeArchitecture:
    """Infer a VAE from `first_stage_model.*`. Raises as `infer_unet`."""
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
        latent_channels=convolution(shapes, f"{VAE}decoder.conv_in.weight")[1],
    )


def infer_own_vae(shapes: Shapes) -> VaeArchitecture | None:
    """`infer_vae` for a checkpoint; None if a tensor that tells the architecture is missing."""
    try:
        return infer_vae(shapes)
    except CheckpointError as error:
        if error.tensor is None or error.tensor in shapes:
            raise
        return None


def infer_clip_text(shapes: Shapes, prefix: str = CLIP_TEXT) -> TextArchitecture:
    """Infer a CLIP text model in transformers' layout from tensors under `prefix`.

    Raises as `infer_unet`.
    """
    vocabulary, width = matrix(shapes, f"{prefix}embeddings.token_embedding.weight")
    return TextArchitecture(
        prefix=prefix,
        vocabulary=vocabulary,
        positions=matrix(shapes, f"{prefix}embeddings.position_embedding.weight")[0],
        width=width,
        layers=shapes.count(prefix + "encoder.layers.{}.mlp.fc1.weight"),
        heads=max(1, width // CLIP_HEAD_WIDTH),
        intermediate=matrix(shapes, f"{prefix}encoder.layers.0.mlp.fc1.weight")[0],
        activation="quick_gelu",
    )


def infer_open_clip_text(shapes: Shapes, prefix: str, *, pools: bool) -> TextArchitecture:
    """Infer a text model in OpenCLIP's layout from tensors under `prefix`.

    `pools`: its projection is used. Raises as `infer_unet`.
    """
    vocabulary, width = matrix(shapes, f"{prefix}token_embedding.weight")
    return TextArchitecture(
        prefix=prefix,
        vocabulary=vocabulary,
        positions=matrix(shapes, f"{prefix}positional_embedding")[0],
        width=width,
        layers=shapes.count(prefix + "transformer.resblocks.{}.mlp.c_fc.weight"),
        heads=max(1, width // CLIP_HEAD_WIDTH),
        intermediate=matrix(shapes, f"{prefix}transformer.resblocks.0.mlp.c_fc.weight")[0],
        activation="gelu",
        open_clip=True,
        projection=matrix(shapes, f"{prefix}text_projection")[1] if pools else None,
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


def _vector_width(shapes: Shapes) -> int | None:
    name = f"{UNET}label_emb.0.0.weight"
    return matrix(shapes, name)[1] if name in shapes else None


def _depth(shapes: Shapes, layer: str) -> int:
    return shapes.count(layer + ".transformer_blocks.{}.attn1.to_q.weight")


def matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    """The shape of a tensor with two axes. Raises `CheckpointError` naming it."""
    shape = shapes[name]
    if len(shape) != 2:
        raise CheckpointError(shapes.file, f"has shape {list(shape)}, not two axes", name)
    return shape[0], shape[1]


def convolution(shapes: Shapes, name: str) -> tuple[int, int]:
    """(outputs, inputs) of a convolution, by its weight. Raises `CheckpointError` naming it."""
    shape = shapes[name]
    if len(shape) != 4:
        raise CheckpointError(shapes.file, f"has shape {list(shape)}, not four axes", name)
    return shape[0], shape[1]
