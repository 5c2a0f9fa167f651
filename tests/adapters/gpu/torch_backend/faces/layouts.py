"""Names and shapes of the four published files, written down from papers and listings of them, at
their own widths or at others."""

from collections.abc import Sequence

import torch
from torch import Tensor

Shape = tuple[int, ...]
Layout = dict[str, Shape]


def conv(name: str, taken: int, made: int, side: int = 3, *, bias: bool = True) -> Layout:
    layout: Layout = {f"{name}.weight": (made, taken, side, side)}
    return {**layout, f"{name}.bias": (made,)} if bias else layout


def linear(name: str, taken: int, made: int) -> Layout:
    return {f"{name}.weight": (made, taken), f"{name}.bias": (made,)}


def norm(name: str, features: int) -> Layout:
    return {f"{name}.weight": (features,), f"{name}.bias": (features,)}


def batch_norm(name: str, features: int) -> Layout:
    statistics = {f"{name}.running_mean": (features,), f"{name}.running_var": (features,)}
    return {**norm(name, features), **statistics, f"{name}.num_batches_tracked": ()}


def retinaface(
    first: int = 64,
    inner: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (3, 4, 6, 3),
    made: int = 256,
    expansion: int = 4,
) -> Layout:
    """detection_Resnet50_Final.pth, whose names all begin with `module.` besides."""
    layout = conv("body.conv1", 3, first, 7, bias=False) | batch_norm("body.bn1", first)
    taken = first
    for stage, (width, count) in enumerate(zip(inner, blocks, strict=True), 1):
        for block in range(count):
            name = f"body.layer{stage}.{block}"
            sides = ((taken, width, 1), (width, width, 3), (width, width * expansion, 1))
            for number, (one, other, side) in enumerate(sides, 1):
                layout |= conv(f"{name}.conv{number}", one, other, side, bias=False)
                layout |= batch_norm(f"{name}.bn{number}", other)
            if block == 0:
                layout |= conv(f"{name}.downsample.0", taken, width * expansion, 1, bias=False)
                layout |= batch_norm(f"{name}.downsample.1", width * expansion)
            taken = width * expansion

    def normed(name: str, one: int, other: int, side: int = 3) -> Layout:
        return conv(f"{name}.0", one, other, side, bias=False) | batch_norm(f"{name}.1", other)

    for number, width in enumerate(inner[1:], 1):
        layout |= normed(f"fpn.output{number}", width * expansion, made, 1)
    layout |= normed("fpn.merge1", made, made) | normed("fpn.merge2", made, made)
    for number in (1, 2, 3):
        layout |= normed(f"ssh{number}.conv3X3", made, made // 2)
        layout |= normed(f"ssh{number}.conv5X5_1", made, made // 4)
        for name in ("conv5X5_2", "conv7X7_2", "conv7x7_3"):
            layout |= normed(f"ssh{number}.{name}", made // 4, made // 4)
    for head, numbers in (("ClassHead", 4), ("BboxHead", 8), ("LandmarkHead", 20)):
        for number in range(3):
            layout |= conv(f"{head}.{number}.conv1x1", made, numbers, 1)
    return layout


def parsenet(first: int = 64, widest: int = 256, steps: int = 4, depth: int = 10) -> Layout:
    """parsing_parsenet.pth."""
    layout = conv("encoder.0.conv2d", 3, first)
    width = first

    def block(name: str, one: int, other: int, *, same: bool = False) -> Layout:
        parts = {} if same else conv(f"{name}.shortcut_func.conv2d", one, other)
        for number, taken in ((1, one), (2, other)):
            parts |= conv(f"{name}.conv{number}.conv2d", taken, other, bias=False)
            parts |= batch_norm(f"{name}.conv{number}.norm.norm", other)
        return parts

    for step in range(steps):
        made = min(first << (step + 1), widest)
        layout |= block(f"encoder.{step + 1}", width, made)
        width = made
    for number in range(depth):
        layout |= block(f"body.{number}", width, width, same=True)
    for step in range(steps):
        made = min(first << (steps - step - 1), widest)
        layout |= block(f"decoder.{step}", width, made)
        width = made
    return layout | conv("out_img_conv.conv2d", width, 3) | conv("out_mask_conv.conv2d", width, 19)


def gfpgan(
    widths: Sequence[int] = (32, 64, 128, 256, 256, 256, 256, 256), style: int = 512
) -> Layout:
    """GFPGANv1.4.pth. `widths` are the U-net's, of 512 pixels down to 4; the generator has twice
    as many everywhere."""
    levels = len(widths) - 1
    layout = conv("conv_body_first", 3, widths[0], 1)
    up = widths[::-1]
    for level in range(levels):
        for part, (one, other) in (
            ("down", (widths[level], widths[level + 1])),
            ("up", (up[level], up[level + 1])),
        ):
            name = f"conv_body_{part}.{level}"
            layout |= conv(f"{name}.conv1", one, one) | conv(f"{name}.conv2", one, other)
            layout |= conv(f"{name}.skip", one, other, 1, bias=False)
    layout |= conv("final_conv", up[0], up[0])
    layout |= linear("final_linear", up[0] * 16, (2 * levels + 2) * style)
    decoder = "stylegan_decoder"
    layout[f"{decoder}.constant_input.weight"] = (1, 2 * up[0], 4, 4)

    def modulated(name: str, one: int, other: int, side: int) -> Layout:
        modulation = linear(f"{name}.modulated_conv.modulation", style, one)
        bias = {f"{name}.bias": (1, other, 1, 1)}
        return {f"{name}.modulated_conv.weight": (1, other, one, side, side), **modulation, **bias}

    def styled(name: str, one: int, other: int) -> Layout:
        return {**modulated(name, one, other, 3), f"{name}.weight": (1,)}

    for number in range(8):
        layout |= linear(f"{decoder}.style_mlp.{2 * number + 1}", style, style)
    layout |= styled(f"{decoder}.style_conv1", 2 * up[0], 2 * up[0])
    layout |= modulated(f"{decoder}.to_rgb1", 2 * up[0], 3, 1)
    for number in range(2 * levels + 1):
        side = 4 << ((number + 1) // 2)
        layout[f"{decoder}.noises.noise{number}"] = (1, 1, side, side)
    for level in range(levels):
        one, other = 2 * up[level], 2 * up[level + 1]
        layout |= styled(f"{decoder}.style_convs.{2 * level}", one, other)
        layout |= styled(f"{decoder}.style_convs.{2 * level + 1}", other, other)
        layout |= modulated(f"{decoder}.to_rgbs.{level}", other, 3, 1)
        layout |= conv(f"toRGB.{level}", up[level + 1], 3, 1)
        for name in ("condition_scale", "condition_shift"):
            layout |= conv(f"{name}.{level}.0", up[level + 1], up[level + 1])
            layout |= conv(f"{name}.{level}.2", up[level + 1], up[level + 1])
    return layout


def residual(name: str, one: int, other: int) -> Layout:
    layout = norm(f"{name}.norm1", one) | conv(f"{name}.conv1", one, other)
    layout |= norm(f"{name}.norm2", other) | conv(f"{name}.conv2", other, other)
    return layout if one == other else layout | conv(f"{name}.conv_out", one, other, 1)


def _attention(name: str, features: int) -> Layout:
    layout = norm(f"{name}.norm", features)
    for part in ("q", "k", "v", "proj_out"):
        layout |= conv(f"{name}.{part}", features, features, 1)
    return layout


def _blocks(prefix: str, kinds: Sequence[tuple[str, int, int]]) -> Layout:
    """Blocks by number: what each is, and how many channels it takes and makes."""
    layout: Layout = {}
    for number, (kind, one, other) in enumerate(kinds):
        name = f"{prefix}.blocks.{number}"
        match kind:
            case "residual":
                layout |= residual(name, one, other)
            case "attention":
                layout |= _attention(name, one)
            case "resize":
                layout |= conv(f"{name}.conv", one, other)
            case "norm":
                layout |= norm(name, one)
            case "conv":
                layout |= conv(name, one, other)
    return layout


def _published_blocks() -> tuple[Layout, Layout]:
    """Six levels, two residual blocks each, attention at 16 pixels."""
    widths = [64, 128, 128, 256, 256, 512]
    encoder, decoder = [("conv", 3, 64)], [("conv", 256, 512)]
    middle = [("residual", 512, 512), ("attention", 512, 512), ("residual", 512, 512)]
    decoder += middle
    taken = 64
    for level, width in enumerate(widths):
        for _ in range(2):
            encoder.append(("residual", taken, width))
            taken = width
            if level == 5:
                encoder.append(("attention", width, width))
        if level < 5:
            encoder.append(("resize", width, width))
    encoder += [*middle, ("norm", 512, 512), ("conv", 512, 256)]
    for level, width in reversed(list(enumerate(widths))):
        for _ in range(2):
            decoder.append(("residual", taken, width))
            taken = width
            if level == 5:
                decoder.append(("attention", width, width))
        if level:
            decoder.append(("resize", width, width))
    decoder += [("norm", 64, 64), ("conv", 64, 3)]
    return _blocks("encoder", encoder), _blocks("generator", decoder)


def _narrow_blocks() -> tuple[Layout, Layout]:
    """As few as make every kind of block needed, most of them on small maps."""
    encoder = [("conv", 3, 4), *[("resize", 4, 4)] * 3, ("conv", 4, 32), ("residual", 32, 32)]
    encoder += [("resize", 32, 32)] * 2
    encoder += [("attention", 32, 32), ("norm", 32, 32), ("conv", 32, 32)]
    decoder = [("conv", 32, 32), ("attention", 32, 32), *[("resize", 32, 32)] * 2]
    decoder += [("residual", 32, 32), ("norm", 32, 32), ("conv", 32, 4)]
    decoder += [*[("resize", 4, 4)] * 3, ("conv", 4, 3)]
    return _blocks("encoder", encoder), _blocks("generator", decoder)


def codeformer(*, narrow: bool = False) -> Layout:
    """codeformer-v0.1.0.pth: 515 tensors, 329 of them the VQGAN's."""
    encoder, decoder = _narrow_blocks() if narrow else _published_blocks()
    count, features, width, inner, layers = (
        (8, 32, 16, 16, 1) if narrow else (1024, 256, 512, 1024, 9)
    )
    fused = {"64": 32} if narrow else {"32": 256, "64": 256, "128": 128, "256": 128}
    layout = {**encoder, **decoder, "quantize.embedding.weight": (count, features)}
    layout |= {"position_emb": (256, width), **linear("feat_emb", features, width)}
    for number in range(layers):
        name = f"ft_layers.{number}"
        layout |= {
            f"{name}.self_attn.in_proj_weight": (3 * width, width),
            f"{name}.self_attn.in_proj_bias": (3 * width,),
            **linear(f"{name}.self_attn.out_proj", width, width),
            **linear(f"{name}.linear1", width, inner),
            **linear(f"{name}.linear2", inner, width),
            **norm(f"{name}.norm1", width),
            **norm(f"{name}.norm2", width),
        }
    layout |= {**norm("idx_pred_layer.0", width), "idx_pred_layer.1.weight": (count, width)}
    for size, features in fused.items():
        name = f"fuse_convs_dict.{size}"
        layout |= residual(f"{name}.encode_enc", 2 * features, features)
        for part in ("scale", "shift"):
            layout |= conv(f"{name}.{part}.0", features, features)
            layout |= conv(f"{name}.{part}.2", features, features)
    return layout


NARROW_GFPGAN = gfpgan((2, 2, 4, 4, 8, 8, 8, 8), 16)
NARROW_PARSENET = parsenet(4, 8, depth=1)
NARROW_RETINAFACE = retinaface(1, (1, 1, 1, 1), (1, 1, 1, 1), 4, 1)


def drawn(layout: Layout, seed: int = 0) -> dict[str, Tensor]:
    """Random numbers in these shapes, so spread that signals neither die nor explode."""
    generator = torch.Generator().manual_seed(seed)

    def tensor(name: str, shape: Shape) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(7)
        if name.endswith("running_var"):
            return torch.rand(shape, generator=generator) + 0.5
        numbers = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            return numbers * 0.1 + (1.0 if name.endswith("weight") else 0.0)
        return (
            numbers / max(1, torch.Size(shape[-3:]).numel() if len(shape) > 2 else shape[-1]) ** 0.5
        )

    return {name: tensor(name, shape) for name, shape in layout.items()}
