"""VAEs: diffusers' module paths to the paths in the file."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import VAE, VaeArchitecture

_RESNET = {
    "norm1": "norm1",
    "conv1": "conv1",
    "norm2": "norm2",
    "conv2": "conv2",
    "conv_shortcut": "nin_shortcut",
}
_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def vae_modules(vae: VaeArchitecture, prefix: str = VAE) -> dict[str, str]:
    """The map of a VAE's modules; `prefix` is empty for a VAE in a file of its own.

    The file numbers levels from the highest resolution in encoder and decoder; diffusers numbers
    the decoder's from the lowest, in the order they run.
    """
    levels = len(vae.channels)
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for half in ("encoder", "decoder"):
        names |= {f"{half}.{same}": f"{half}.{same}" for same in ("conv_in", "conv_out")}
        names[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        names |= _renamed(_RESNET, f"{half}.mid_block.resnets.0", f"{half}.mid.block_1")
        names |= _renamed(_RESNET, f"{half}.mid_block.resnets.1", f"{half}.mid.block_2")
        names |= _renamed(_ATTENTION, f"{half}.mid_block.attentions.0", f"{half}.mid.attn_1")
    for level in range(levels):
        down, up = f"encoder.down_blocks.{level}", f"decoder.up_blocks.{levels - 1 - level}"
        for block in range(vae.res_blocks):
            original = f"encoder.down.{level}.block.{block}"
            names |= _renamed(_RESNET, f"{down}.resnets.{block}", original)
        for block in range(vae.res_blocks + 1):
            original = f"decoder.up.{level}.block.{block}"
            names |= _renamed(_RESNET, f"{up}.resnets.{block}", original)
        names[f"{down}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
        names[f"{up}.upsamplers.0.conv"] = f"decoder.up.{level}.upsample.conv"
    return {path: prefix + original for path, original in names.items()}


def _renamed(parts: dict[str, str], ours: str, original: str) -> dict[str, str]:
    return {f"{ours}.{here}": f"{original}.{there}" for here, there in parts.items()}
