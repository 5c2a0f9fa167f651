"""CLIP's two halves: how near a picture is to each of many texts.

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

#: How much likelier a text is that is nearer by 1: A1111's, and what CLIP learned.
_SHARPNESS = 100.0
#: A channel's share of one head of attention.
_HEAD = 64
#: Texts that go through at once.
CHUNK = 64
#: Terms that are remembered: the lists hold a few thousands.
_REMEMBERED = 50_000

Tokenize = Callable[[Sequence[str]], list[list[int]]]


@dataclass(eq=False)
class Clip:
    """Both halves, and what terms came to, which depends on nothing else."""

    network: Any
    tokenize: Tokenize
    terms: dict[str, Tensor] = field(default_factory=dict)

    def parameters(self) -> Iterator[torch.Tensor]:
        """Of both halves."""
        return self.network.parameters()

    def to(self, device: torch.device) -> None:
        self.network.to(device)


def load_clip(file: Path, tokenize: Tokenize) -> Clip:
    """From any of CLIP's layouts. Raises `CheckpointError`."""
    if is_torchscript_archive(file):
        state: StateDict = read_torchscript_archive(file)
    else:
        state = read_weights(file, mmap=False).tensors
    return Clip(build(by_transformers_names(state, str(file)), str(file)), tokenize)


def build(state: StateDict, file: str) -> Any:
    """The network that these tensors are of. Raises `CheckpointError`."""
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
def seen(clip: Clip, picture: Image) -> Tensor:
    """(1, C): the RGB picture's place among texts, of length 1."""
    network = clip.network
    side = network.config.vision_config.image_size
    pixels = normalised(middle(picture, side)).to(network.logit_scale.device)
    pooled = network.vision_model(pixel_values=pixels).pooler_output
    return functional.normalize(network.visual_projection(pooled).float(), dim=-1).cpu()


@torch.inference_mode()
def meant(clip: Clip, texts: Sequence[str]) -> Tensor:
    """(texts, C): their places, of length 1. What was asked for before is remembered."""
    new = [text for text in dict.fromkeys(texts) if text not in clip.terms]
    if len(clip.terms) + len(new) > _REMEMBERED:
        clip.terms.clear()
        new = list(dict.fromkeys(texts))
    if new:
        clip.terms.update(zip(new, _encoded(clip, new), strict=True))
    return torch.stack([clip.terms[text] for text in texts])


def _encoded(clip: Clip, texts: Sequence[str]) -> Tensor:
    """A text's end is looked at, which knows only what comes before: what fills up is cut off."""
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


def fits(picture: Tensor, texts: Tensor) -> list[float]:
    """(1, C), (texts, C) -> how well each text fits: probabilities, together 1."""
    return (_SHARPNESS * picture @ texts.T).softmax(-1)[0].tolist()


def chunks(terms: Sequence[str]) -> Iterator[Sequence[str]]:
    """The terms in portions that go through at once."""
    return (terms[first : first + CHUNK] for first in range(0, len(terms), CHUNK))
