"""Draw pictures from an exported file with this tool's own nets, without the product."""

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from .latents import SCALE_FACTOR
from .sampler import sample
from .text import TextModel
from .tokens import known_tokens
from .unet import UNet
from .vae import STANDARD_EPS, Decoder, quantisers

UNUSED_TOKEN = 0  # "!" occurs in no caption, so its row holds the "other word" vector


class _Model(nn.Module):
    """Text model and UNet under the standard epsilons, as read from the file."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        self.text, self.unet = TextModel(), UNet(eps=1e-5)
        self.unet.load_state_dict(part_of(weights, "model.diffusion_model."))
        self.text.load_state_dict(small_text(weights))


def small_text(weights: dict) -> dict:
    """The text model's weights in an exported file, its embedding cut to the training's rows."""
    text = part_of(weights, "cond_stage_model.transformer.text_model.")
    text.pop("embeddings.position_ids")
    name = "embeddings.token_embedding.weight"
    text[name] = text[name][[UNUSED_TOKEN if t < 0 else t for t in known_tokens()]]
    return text


def part_of(weights: dict, prefix: str) -> dict:
    """The weights below `prefix` as float32, by the names that follow it."""
    return {k[len(prefix) :]: v.float() for k, v in weights.items() if k.startswith(prefix)}


def to_images(pixels: torch.Tensor) -> list[Image.Image]:
    """float [n, 3, h, w] in -1..1 -> RGB images."""
    scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(p) for p in scaled]


class Artist:
    """`draw(prompts, size, seeds)` from one checkpoint file; Euler, 20 steps, cfg 7."""

    def __init__(self, file: Path, device: str = "cpu", batch: int = 8):
        weights = load_file(file)
        self.device, self.batch = device, batch
        self.model = _Model(weights).to(device)
        self.decoder = Decoder(eps=STANDARD_EPS)
        self.decoder.load_state_dict(part_of(weights, "first_stage_model.decoder."))
        self.decoder.to(device)
        self.post = quantisers()[1]
        self.post.load_state_dict(part_of(weights, "first_stage_model.post_quant_conv."))
        self.post.to(device)

    @torch.no_grad()
    def draw(self, prompts, size: int, seeds, steps: int = 20, cfg: float = 7.0):
        """One RGB image of `size` pixels for each prompt and seed."""
        out, seeds = [], list(seeds)
        batch = max(1, self.batch * 128 * 128 // (size * size))
        for k in range(0, len(prompts), batch):
            part = prompts[k : k + batch], size, seeds[k : k + batch]
            latents = sample(self.model, *part, steps=steps, cfg=cfg, device=self.device)
            out += to_images(self.decoder(self.post(latents / SCALE_FACTOR)))
        return out
