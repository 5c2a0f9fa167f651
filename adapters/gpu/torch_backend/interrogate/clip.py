"""CLIP: how well each of many texts fits a picture.

Sources: Radford et al. 2021 (arXiv:2103.00020); spec images.md 12.1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, count_layers, fill_module
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.interrogate.clip_layouts import by_transformers_names
from hexfusion.adapters.gpu.torch_backend.interrogate.pixels import middle, normalised
from hexfusion.adapters.gpu.torch_backend.interrogate.torchscript_archive import (
    is_torchscript_archive,
    read_torchscript_archive,
)
from hexfusion.domain.errors import CheckpointError

#: The logit scale: A1111's constant, and the value that CLIP learned.
_SHARPNESS = 100.0
#: Channels of an attention head.
_HEAD = 64
#: Texts that are encoded at once.
CHUNK = 64
#: Terms whose vectors are cached; the lists hold a few thousand.
_REMEMBERED = 50_000

Tokenize = Callable[[Sequence[str]], list[list[int]]]


@dataclass(eq=False)
class Clip:
    """A CLIP network, its tokenizer, and cached vectors of terms."""

    network: Any
    tokenize: Tokenize
    terms: dict[str, Tensor] = field(default_factory=dict)

    def parameters(self) -> Iterator[torch.Tensor]:
        """The network's parameters."""
        return self.network.parameters()

    def to(self, device: torch.device) -> None:
        self.network.to(device)


def load_clip(file: Path, tokenize: Tokenize) -> Clip:
    """Load CLIP to the CPU from a file in any of its layouts. Raises `CheckpointError`."""
    if is_torchscript_archive(file):
        state: StateDict = read_torchscript_archive(file)
    else:
        state = read_weights(file, mmap=False).tensors
    return Clip(build(by_transformers_names(state, str(file)), str(file)), tokenize)


def build(state: StateDict, file: str) -> Any:
    """Build the network from these tensors. Raises `CheckpointError`."""
    from transformers.models.clip.configuration_clip import CLIPConfig
    from transformers.models.clip.modeling_clip import CLIPModel

    def shape(name: str, sides: int) -> tuple[int, ...]:
        if name not in state:
            raise CheckpointError(file, "is missing", name)
        if state[name].dim() != sides:
            raise CheckpointError(file, f"has {state[name].dim()} sides, not {sides}", name)
        return tuple(state[name].shape)

    vocabulary, text = shape("text_model.embeddings.token_embedding.weight", 2)
    positions, _ = shape("text_model.embeddings.position_embedding.weight", 2)
    vision, _, patch, _ = shape("vision_model.embeddings.patch_embedding.weight", 4)
    patches, _ = shape("vision_model.embeddings.position_embedding.weight", 2)
    projected, _ = shape("visual_projection.weight", 2)
    config = CLIPConfig(
        text_config={
            "hidden_size": text,
            "intermediate_size": shape("text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
            "num_hidden_layers": count_layers(state, "text_model.encoder.layers."),
            "num_attention_heads": max(1, text // _HEAD),
            "max_position_embeddings": positions,
            "vocab_size": vocabulary,
            "hidden_act": "quick_gelu",
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": vocabulary - 1,
        },
        vision_config={
            "hidden_size": vision,
            "intermediate_size": shape("vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
            "num_hidden_layers": count_layers(state, "vision_model.encoder.layers."),
            "num_attention_heads": max(1, vision // _HEAD),
            "image_size": round((patches - 1) ** 0.5) * patch,
            "patch_size": patch,
            "hidden_act": "quick_gelu",
        },
        projection_dim=projected,
    )
    with torch.device("meta"):
        network = CLIPModel(config)
    return fill_module(network, state, file)


@torch.inference_mode()
def picture_vector(clip: Clip, picture: Image) -> Tensor:
    """The RGB picture's normalised embedding, (1, C) on the CPU."""
    network = clip.network
    side = network.config.vision_config.image_size
    pixels = normalised(middle(picture, side)).to(network.logit_scale.device)
    pooled = network.vision_model(pixel_values=pixels).pooler_output
    return functional.normalize(network.visual_projection(pooled).float(), dim=-1).cpu()


@torch.inference_mode()
def text_vectors(clip: Clip, texts: Sequence[str]) -> Tensor:
    """The texts' normalised embeddings, (texts, C) on the CPU. They are cached."""
    new = [text for text in dict.fromkeys(texts) if text not in clip.terms]
    if len(clip.terms) + len(new) > _REMEMBERED:
        clip.terms.clear()
        new = list(dict.fromkeys(texts))
    if new:
        clip.terms.update(zip(new, _encoded(clip, new), strict=True))
    return torch.stack([clip.terms[text] for text in texts])


def _encoded(clip: Clip, texts: Sequence[str]) -> Tensor:
    """Encode texts. Rows are padded to the longest; padding after a text's end has no effect."""
    network = clip.network
    text = network.config.text_config
    most = text.max_position_embeddings
    tokens = [each[: most - 2] for each in clip.tokenize(texts)]
    longest = max(map(len, tokens)) + 2
    rows = torch.full((len(texts), longest), text.eos_token_id)
    for row, each in zip(rows, tokens, strict=True):
        row[: len(each) + 1] = torch.tensor([text.bos_token_id, *each])
    device = network.logit_scale.device
    made = network.text_model(input_ids=rows.to(device)).last_hidden_state
    ends = made[torch.arange(len(texts)), [len(each) + 1 for each in tokens]]
    return functional.normalize(network.text_projection(ends).float(), dim=-1).cpu()


def text_probabilities(picture: Tensor, texts: Tensor) -> list[float]:
    """How well each text fits: probabilities that sum to 1.

    `picture` (1, C) and `texts` (texts, C) are normalised embeddings.
    """
    return (_SHARPNESS * picture @ texts.T).softmax(-1)[0].tolist()


def chunks(terms: Sequence[str]) -> Iterator[Sequence[str]]:
    """The terms in chunks of `CHUNK`, each encoded at once."""
    return (terms[first : first + CHUNK] for first in range(0, len(terms), CHUNK))
