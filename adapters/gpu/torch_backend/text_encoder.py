"""Prompts to the tensors a UNet is conditioned on.

Source: spec prompts.md 5.4 (columns of chunks), 5.5 (emphasis) and 5.6 (which layer).
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adapters.gpu.torch_backend.tokenizer import ClipTokenizer
from domain.errors import InvalidRequest
from domain.prompts import CLIP_L, Chunk, ChunkedPrompt, chunk_columns, chunk_prompt

if TYPE_CHECKING:
    from transformers.models.clip.modeling_clip import CLIPTextModel

_Key = tuple[tuple[ChunkedPrompt, ...], int, str]


class TextEncoder:
    """One checkpoint's CLIP text model, and the conditionings it made last.

    Safe to use from many threads. The cache lives and dies with the model, so an unloaded
    checkpoint leaves nothing behind.
    """

    def __init__(
        self, model: "CLIPTextModel", tokenizer: ClipTokenizer, cache_size: int = 64
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._cache: OrderedDict[_Key, Tensor] = OrderedDict()
        self._cache_size = cache_size
        self._lock = Lock()

    def __call__(
        self,
        texts: Sequence[str],
        *,
        clip_skip: int = 1,
        emphasis: str = "Original",
        comma_backtrack: int = 20,
    ) -> Tensor:
        """Conditioning of several texts, encoded and normalised together.

        The result is (texts, 77 * chunks, width) float32 on the model's device; texts with fewer
        chunks than the longest are filled with empty ones. `clip_skip` counts layers from the
        end, 1 to their number. Raises `InvalidRequest` for malformed weights and a clip skip
        that the model does not have.
        """
        prompts = tuple(
            chunk_prompt(
                text, self.tokenizer, CLIP_L, emphasis=emphasis, comma_backtrack=comma_backtrack
            )
            for text in texts
        )
        return self.encode(prompts, clip_skip=clip_skip, emphasis=emphasis)

    def encode(
        self, prompts: Sequence[ChunkedPrompt], *, clip_skip: int = 1, emphasis: str = "Original"
    ) -> Tensor:
        """As calling it, for prompts that are chunked already."""
        key = (tuple(prompts), clip_skip, emphasis)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        conditioning = encode(self.model, prompts, clip_skip, emphasis)
        with self._lock:
            self._cache[key] = conditioning
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return conditioning


@torch.inference_mode()
def encode(
    model: "CLIPTextModel", prompts: Sequence[ChunkedPrompt], clip_skip: int, emphasis: str
) -> Tensor:
    """(prompts, 77 * chunks, width) float32: one model call per column of chunks."""
    columns = chunk_columns(prompts, CLIP_L)
    encoded = [_encode_column(model, column, clip_skip, emphasis) for column in columns]
    return torch.cat(encoded, dim=1)


def _encode_column(
    model: "CLIPTextModel", column: Sequence[Chunk], clip_skip: int, emphasis: str
) -> Tensor:
    tokens = torch.tensor([chunk.tokens for chunk in column], device=model.device)
    multipliers = torch.tensor([chunk.multipliers for chunk in column], device=model.device)
    return emphasise(hidden_state(model, tokens, clip_skip).float(), multipliers, emphasis)


def hidden_state(model: "CLIPTextModel", tokens: Tensor, clip_skip: int) -> Tensor:
    """The `clip_skip`-th last layer's output through the final norm, (rows, 77, width).

    `tokens` is (rows, 77) int64. Raises `InvalidRequest` if there is no such layer.
    """
    layers = model.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise InvalidRequest(
            "CLIP_stop_at_last_layers", f"must be 1 to {layers} for this checkpoint"
        )
    if clip_skip == 1:
        return model(input_ids=tokens).last_hidden_state
    states = model(input_ids=tokens, output_hidden_states=True).hidden_states
    return model.final_layer_norm(states[-clip_skip])


def emphasise(encoded: Tensor, multipliers: Tensor, emphasis: str) -> Tensor:
    """Scale each token's vector by its weight (spec prompts.md 5.5).

    `encoded` is (texts, 77, width), `multipliers` (texts, 77). "None" and "Ignore" leave the
    vectors alone, "No norm" only scales; any other name is "Original", which afterwards restores
    the mean over the whole tensor.
    """
    if emphasis in ("None", "Ignore") or bool((multipliers == 1).all()):
        return encoded
    scaled = encoded * multipliers.unsqueeze(-1)
    if emphasis == "No norm":
        return scaled
    return scaled * (encoded.mean() / scaled.mean())
