"""Write the checkpoint: one fp16 safetensors file in the SD1 single-file layout.

Training used large normalisation epsilons. GroupNorm(x; e) = GroupNorm(s x; s s e), so scaling
whatever writes a normalised stream by s = sqrt(standard / training epsilon) gives the same function
under the standard epsilons (1e-5 in UNet blocks, 1e-6 elsewhere).
"""

import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from .latents import FEATURE_MEAN, WHITEN
from .schedule import alphas_cumprod
from .text import WIDTH
from .tokens import VOCABULARY, known_tokens
from .unet import RES_EPS
from .vae import DECODER_EPS, STANDARD_EPS, Decoder, Encoder, quantisers

ASSET = Path("adapters/storage/assets/hexfusion-starter.safetensors")


def _scaled(weights: dict, scale: float, whole: tuple[str, ...], biases: tuple[str, ...]) -> dict:
    """`weights` with layers ending in `whole` scaled, and only the biases of those in `biases`."""
    out = {}
    for key, value in weights.items():
        layer, _, kind = key.rpartition(".")
        hit = layer.endswith(whole) or (kind == "bias" and layer.endswith(biases))
        out[key] = value * scale if hit else value
    return out


def unet_weights(weights: dict, back: bool = False) -> dict:
    """Training weights of the UNet -> the same function under epsilons 1e-5 and 1e-6.

    `back` turns exported weights into training weights again.
    """
    writers = ("input_blocks.0.0", "in_layers.2", "emb_layers.1", "out_layers.3", "proj_out")
    carriers = ("skip_connection", ".op", ".conv")
    return _scaled(weights, _ratio(1e-5, RES_EPS, back), writers, carriers)


def decoder_weights(weights: dict, back: bool = False) -> dict:
    """Training weights of the decoder -> the same function under epsilon 1e-6; or `back`."""
    writers = ("conv_in", "conv1", "conv2", "proj_out")
    scale = _ratio(STANDARD_EPS, DECODER_EPS, back)
    return _scaled(weights, scale, writers, ("upsample.conv",))


def _ratio(standard: float, training: float, back: bool) -> float:
    return (training / standard if back else standard / training) ** 0.5


def text_weights(weights: dict) -> dict:
    """Training weights of the text model, its embedding spread over CLIP's whole vocabulary."""
    out = dict(weights)
    small = out["embeddings.token_embedding.weight"]
    table = small[0].expand(VOCABULARY, WIDTH).clone()
    for row, number in enumerate(known_tokens()):
        if number >= 0:
            table[number] = small[row]
    out["embeddings.token_embedding.weight"] = table
    out["embeddings.position_ids"] = torch.arange(77)[None]
    return out


def checkpoint(model: dict, decoder: dict) -> dict[str, torch.Tensor]:
    """All tensors of the file from the trained `model` (text.*, unet.*) and `decoder` weights."""

    def part(prefix):
        return {k[len(prefix) :]: v for k, v in model.items() if k.startswith(prefix)}

    quant, post = quantisers()
    groups = {
        "model.diffusion_model": unet_weights(part("unet.")),
        "cond_stage_model.transformer.text_model": text_weights(part("text.")),
        "first_stage_model.decoder": decoder_weights(decoder),
        "first_stage_model.encoder": Encoder().state_dict(),
        "first_stage_model.quant_conv": quant.state_dict(),
        "first_stage_model.post_quant_conv": post.state_dict(),
    }
    out = {
        f"{prefix}.{key}": value if value.dtype == torch.int64 else value.half()
        for prefix, weights in groups.items()
        for key, value in weights.items()
    }
    out["alphas_cumprod"] = alphas_cumprod()
    return {key: value.contiguous().cpu() for key, value in out.items()}


def export(folder: Path, target: Path = ASSET, which: str = "ema") -> Path:
    """Write `target` from the training folder's latest state, replacing it at once."""
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    decoder, decoder_seen = Decoder().state_dict(), 0
    if (folder / "decoder.pt").exists():
        saved = torch.load(folder / "decoder.pt", map_location="cpu", weights_only=True)
        decoder, decoder_seen = saved["ema"], saved["seen"]
    metadata = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.title": "Hexfusion starter",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "Picture-book shapes, trained from scratch by tools/starter",
        "modelspec.prediction_type": "epsilon",
        "hexfusion.pictures_seen": str(state["seen"]),
        "hexfusion.decoder_crops_seen": str(decoder_seen),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    to_rgb = np.linalg.inv(WHITEN.astype(np.float64))[:3].T  # scaled latents -> mean colours
    metadata["latent_rgb_factors"] = json.dumps(to_rgb.round(6).tolist())
    metadata["latent_rgb_bias"] = json.dumps(FEATURE_MEAN[:3].astype(float).round(6).tolist())
    part = target.with_suffix(".part")
    save_file(checkpoint(state[which], decoder), part, metadata)
    part.chmod(0o644)
    os.replace(part, target)
    return target
