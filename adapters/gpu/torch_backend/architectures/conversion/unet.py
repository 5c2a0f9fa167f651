"""UNets: diffusers' module paths to the paths in the file."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET, UNetArchitecture

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def unet_modules(unet: UNetArchitecture) -> dict[str, str]:
    """The map of a UNet's modules, including some that not every UNet has.

    The file numbers blocks in the order they run, including the first convolution and
    down-samplers; diffusers groups them by resolution. Attention layers are one entry each, as the
    names inside are equal.
    """
    names = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "mid_block.attentions.0": "middle_block.1",
        "class_embedding.linear_1": "label_emb.0.0",
        "class_embedding.linear_2": "label_emb.0.2",
        **_resnet("mid_block.resnets.0", "middle_block.0"),
        **_resnet("mid_block.resnets.1", "middle_block.2"),
        **_down(unet),
        **_up(unet),
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    return {path: UNET + original for path, original in names.items()}


def _down(unet: UNetArchitecture) -> dict[str, str]:
    names: dict[str, str] = {}
    index = 1
    for level, blocks in enumerate(unet.res_blocks):
        ours = f"down_blocks.{level}"
        for block in range(blocks):
            names |= _resnet(f"{ours}.resnets.{block}", f"input_blocks.{index}.0")
            names[f"{ours}.attentions.{block}"] = f"input_blocks.{index}.1"
            index += 1
        names[f"{ours}.downsamplers.0.conv"] = f"input_blocks.{index}.0.op"
        index += 1
    return names


def _up(unet: UNetArchitecture) -> dict[str, str]:
    names: dict[str, str] = {}
    index = 0
    for up, level in enumerate(reversed(range(len(unet.channels)))):
        ours = f"up_blocks.{up}"
        for block in range(unet.res_blocks[level] + 1):
            names |= _resnet(f"{ours}.resnets.{block}", f"output_blocks.{index}.0")
            names[f"{ours}.attentions.{block}"] = f"output_blocks.{index}.1"
            index += 1
        position = 2 if unet.up_depths[level][-1] else 1
        names[f"{ours}.upsamplers.0.conv"] = f"output_blocks.{index - 1}.{position}.conv"
    return names


def _resnet(ours: str, original: str) -> dict[str, str]:
    return {f"{ours}.{here}": f"{original}.{there}" for here, there in _RESNET.items()}
