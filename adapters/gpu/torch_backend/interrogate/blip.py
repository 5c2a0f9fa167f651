"""BLIP captions: transformers' classes with the weights of the file that BLIP's authors published.

Sources: Li et al., "BLIP" (arXiv:2201.12086); the file's layout; spec images.md 12.1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, count_layers, fill_module
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.adapters.gpu.torch_backend.interrogate.bert_vocabulary import (
    BertVocabulary,
    read_vocabulary,
)
from hexfusion.adapters.gpu.torch_backend.interrogate.pixels import normalised, squashed
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.interrogation import CaptionSearch

#: The prompt that every caption continues; it is removed from the result.
_PROMPT = ("a", "picture", "of")
#: Channels of an attention head, in both networks.
_HEAD = 64

_VISION = (
    (r"^visual_encoder\.cls_token$", "embeddings.class_embedding"),
    (r"^visual_encoder\.pos_embed$", "embeddings.position_embedding"),
    (r"^visual_encoder\.patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^visual_encoder\.norm\.", "post_layernorm."),
    (r"^visual_encoder\.blocks\.(\d+)\.norm(\d)\.", r"encoder.layers.\1.layer_norm\2."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^visual_encoder\.blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
)
_TEXT = "text_decoder."
_COUNTED = ".position_ids"  # no weights


@dataclass(frozen=True, eq=False)
class Blip:
    """BLIP's image encoder and text decoder in float32, and its vocabulary."""

    vision: Any
    text: Any
    words: BertVocabulary

    def parameters(self) -> Iterator[torch.Tensor]:
        """Parameters of both networks."""
        return chain(self.vision.parameters(), self.text.parameters())

    def to(self, device: torch.device) -> None:
        self.vision.to(device)
        self.text.to(device)


def load_blip(file: Path) -> Blip:
    """Load BLIP to the CPU.

    Raises `CheckpointError`, and `ModelUnavailable` if the vocabulary is not in the file's folder.
    """
    words = read_vocabulary(file.parent)
    inside = ("model", "state_dict")
    vision, text = split(read_weights(file, mmap=False, inside=inside).tensors, str(file))
    return build(vision, text, words, str(file))


def split(state: StateDict, file: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(vision, text) tensors by transformers' names, from the authors' or transformers' layout.

    Raises `CheckpointError` for any other layout.
    """
    vision: dict[str, Tensor] = {}
    text: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith(_COUNTED):
            continue
        if name.startswith(_TEXT):
            text[name.removeprefix(_TEXT)] = tensor
        elif name.startswith("vision_model."):
            vision[name.removeprefix("vision_model.")] = tensor
        else:
            for pattern, replacement in _VISION:
                if re.match(pattern, name):
                    vision[re.sub(pattern, replacement, name)] = tensor
    if not vision or not text:
        raise CheckpointError(file, "is no captioning network of BLIP's")
    return vision, text


def build(vision: StateDict, text: StateDict, words: BertVocabulary, file: str) -> Blip:
    """Build BLIP from these tensors. Raises `CheckpointError`."""
    from transformers.models.blip.configuration_blip import BlipTextConfig, BlipVisionConfig
    from transformers.models.blip.modeling_blip import BlipVisionModel
    from transformers.models.blip.modeling_blip_text import BlipTextLMHeadModel

    sizes = _sizes(vision, text, file)
    count = sizes["vocabulary"]
    if count < len(words.pieces):
        message = f"knows {count} words, and its vocabulary has {len(words.pieces)}"
        raise CheckpointError(file, message)
    with torch.device("meta"):
        eyes = BlipVisionModel(
            BlipVisionConfig(
                hidden_size=sizes["width"],
                intermediate_size=vision["encoder.layers.0.mlp.fc1.weight"].shape[0],
                num_hidden_layers=count_layers(vision, "encoder.layers."),
                num_attention_heads=max(1, sizes["width"] // _HEAD),
                image_size=sizes["side"],
                patch_size=sizes["patch"],
                hidden_act="gelu",
                layer_norm_eps=1e-6,
            )
        )
        mouth = BlipTextLMHeadModel(
            BlipTextConfig(
                vocab_size=count,
                hidden_size=sizes["text"],
                encoder_hidden_size=sizes["width"],
                intermediate_size=text["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
                num_hidden_layers=count_layers(text, "bert.encoder.layer."),
                num_attention_heads=max(1, sizes["text"] // _HEAD),
                max_position_embeddings=sizes["positions"],
                hidden_act="gelu",
                layer_norm_eps=1e-12,
                bos_token_id=words.begin,
                sep_token_id=words.end,
                eos_token_id=words.end,
                pad_token_id=words.padding,
                is_decoder=True,
                tie_word_embeddings=False,  # the file has both
            )
        )
    return Blip(fill_module(eyes, vision, file), fill_module(mouth, text, file), words)


def _sizes(vision: StateDict, text: StateDict, file: str) -> Mapping[str, int]:
    """The networks' dimensions, from the tensors' shapes.

    Raises `CheckpointError` naming a tensor that is missing or misshapen.
    """
    width, _, patch, _ = _shape(vision, "embeddings.patch_embedding.weight", 4, file)
    _, patches, _ = _shape(vision, "embeddings.position_embedding", 3, file)
    count, text_width = _shape(text, "bert.embeddings.word_embeddings.weight", 2, file)
    positions, _ = _shape(text, "bert.embeddings.position_embeddings.weight", 2, file)
    _shape(vision, "encoder.layers.0.mlp.fc1.weight", 2, file)
    _shape(text, "bert.encoder.layer.0.intermediate.dense.weight", 2, file)
    side = round((patches - 1) ** 0.5) * patch
    return {
        "width": width,
        "patch": patch,
        "side": side,
        "text": text_width,
        "vocabulary": count,
        "positions": positions,
    }


def _shape(state: StateDict, name: str, sides: int, file: str) -> tuple[int, ...]:
    tensor = state.get(name)
    if tensor is None:
        raise CheckpointError(file, "is missing", name)
    if tensor.dim() != sides:
        raise CheckpointError(file, f"has {tensor.dim()} sides, not {sides}", name)
    return tuple(tensor.shape)


@torch.inference_mode()
def describe(blip: Blip, picture: Any, search: CaptionSearch, advance: Advance) -> str:
    """A caption of the RGB picture, by beam search.

    `advance` is called after each word; if it stops the job, the caption ends there.
    """
    device = blip.vision.embeddings.class_embedding.device
    side = blip.vision.config.image_size
    pixels = normalised(squashed(picture, side)).to(device)
    seen = blip.vision(pixel_values=pixels).last_hidden_state
    prompt = torch.tensor([[blip.words.begin, *map(blip.words.number, _PROMPT)]], device=device)
    given = prompt.shape[1]
    made = blip.text.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        encoder_hidden_states=seen,
        encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=device),
        num_beams=search.beams,
        min_length=search.min_length,
        max_length=search.max_length,
        do_sample=False,
        repetition_penalty=1.0,
        bos_token_id=blip.words.begin,
        eos_token_id=blip.words.end,
        pad_token_id=blip.words.padding,
        stopping_criteria=[_Listening(advance, given, search.max_length)],
    )
    return blip.words.text(made[0, given:].tolist())


class _Listening:
    """A stopping criterion that reports progress after each word, and stops with the job."""

    def __init__(self, advance: Advance, given: int, most: int) -> None:
        self._advance, self._given, self._most = advance, given, most

    def __call__(self, numbers: Tensor, scores: object, **_: object) -> Tensor:
        done, of = numbers.shape[1] - self._given, max(1, self._most - self._given)
        stop = self._advance(min(done, of), of) is not Verdict.CONTINUE
        return torch.full((numbers.shape[0],), stop, device=numbers.device)
