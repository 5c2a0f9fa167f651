"""`TextEncoder`: prompts to the tensors that condition a UNet, by one CLIP text model.

Source: spec prompts.md 5.4 (columns of chunks), 5.5 (emphasis) and 5.6 (which layer).
"""

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import ClipTokenizer
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.patches.additions import current
from hexfusion.adapters.gpu.torch_backend.patches.adjustable_layers import replacing_tokens
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.plan import TextPlan
from hexfusion.domain.prompts import (
    CHUNK_TOKENS,
    CLIP_L,
    Chunk,
    ChunkedPrompt,
    EmbeddingLookup,
    SpecialTokens,
    chunk_columns,
    chunk_prompt,
    empty_chunk,
)
from hexfusion.domain.prompts.old_emphasis import chunk_by_old_emphasis

if TYPE_CHECKING:
    from transformers.models.clip.modeling_clip import CLIPTextModel

#: Bytes that a text encoder keeps of encodings. One of 77 tokens takes 236 KB for SD1; a prompt may
#: be a hundred times as long, and a batch have a hundred of them.
CACHE_BYTES = 64 * 2**20

_Key = tuple[tuple[ChunkedPrompt, ...], int, str, Hashable]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Encoded texts: `states` (texts, 77 * chunks, width) float32, and pooled vectors.

    `pooled` is (texts, width) float32, from each text's first chunk; None without a projection.
    """

    states: Tensor
    pooled: Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes of both."""
        return bytes_of([self.states] if self.pooled is None else [self.states, self.pooled])

    def pooled_rows(self) -> Tensor:
        """`pooled`, for an encoder with a projection."""
        assert self.pooled is not None
        return self.pooled


class TextEncoder:
    """A CLIP text model with its tokenizer, and a cache of the last encodings: at most `cache_size`
    of them, of at most `cache_bytes` together.

    `final_norm`: the chosen layer's output goes through the model's final norm. With a `projection`
    it also returns pooled vectors. Safe to use from many threads. The cache is freed with the
    model.
    """

    def __init__(
        self,
        model: "CLIPTextModel",
        tokenizer: ClipTokenizer,
        *,
        special: SpecialTokens = CLIP_L,
        final_norm: bool = True,
        projection: nn.Linear | None = None,
        cache_size: int = 64,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.projection = projection
        self._special = special
        self._final_norm = final_norm
        #: The encoder's name in embeddings for SDXL.
        self._part = "clip_l" if special == CLIP_L else "clip_g"
        self._cache: OrderedDict[_Key, Encoded] = OrderedDict()
        self._cache_size = cache_size
        self._cache_bytes = cache_bytes
        self._cached = 0  # bytes
        self._lock = Lock()

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def width(self) -> int:
        """Elements of a token's vector."""
        return int(self.model.config.hidden_size)

    @property
    def pooled_width(self) -> int:
        """Elements of a text's pooled vector; 0 without a projection."""
        return self.projection.out_features if self.projection else 0

    def chunk(self, texts: Sequence[str], plan: TextPlan) -> tuple[ChunkedPrompt, ...]:
        """The texts as chunks of tokens, with the job's embeddings found in them.

        Raises `InvalidRequest` for malformed weights.
        """
        additions = current()
        if additions is None or additions.vocabulary is None:
            return tuple(self._chunk(text, plan) for text in texts)
        lookup = additions.vocabulary.lookup(self.tokenizer)
        prompts = tuple(self._chunk(text, plan, lookup) for text in texts)
        additions.used[:0] = additions.vocabulary.used(prompts)
        return prompts

    def _chunk(
        self, text: str, plan: TextPlan, embeddings: EmbeddingLookup | None = None
    ) -> ChunkedPrompt:
        if plan.old_emphasis:
            chunked = chunk_by_old_emphasis(
                text, self.tokenizer, self.tokenizer.bracket_tokens, self._special, embeddings
            )
            if chunked.token_count > CHUNK_TOKENS:
                cut = chunked.token_count - CHUNK_TOKENS
                log.warning("the old emphasis takes no more than 75 tokens: %d are cut off", cut)
            return chunked
        return chunk_prompt(
            text,
            self.tokenizer,
            self._special,
            emphasis=plan.emphasis,
            comma_backtrack=plan.comma_backtrack,
            embeddings=embeddings,
        )

    def filled(self, prompts: Sequence[ChunkedPrompt], chunks: int) -> tuple[ChunkedPrompt, ...]:
        """The prompts with empty chunks appended until each has `chunks`."""
        blank = empty_chunk(self._special)
        return tuple(
            replace(each, chunks=each.chunks + (blank,) * (chunks - len(each.chunks)))
            for each in prompts
        )

    def encode(self, prompts: Sequence[ChunkedPrompt], plan: TextPlan, clip_skip: int) -> Encoded:
        """Encode prompts and normalise them together, with the plan's emphasis.

        Prompts with fewer chunks than the longest are filled with empty ones. `clip_skip` counts
        layers from the end, from 1, and overrides the plan's; raises `InvalidRequest` if there is
        no such layer. The cache is used only with `plan.keep`.
        """
        emphasis = plan.emphasis
        if not plan.keep:
            return self._encode(prompts, clip_skip, emphasis)
        key = (tuple(prompts), clip_skip, emphasis, _identity(prompts))
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        encoded = self._encode(prompts, clip_skip, emphasis)
        with self._lock:
            if key not in self._cache:  # another thread may have been faster
                self._cached += encoded.size
            self._cache[key] = encoded
            while self._cache and (
                len(self._cache) > self._cache_size or self._cached > self._cache_bytes
            ):
                _, gone = self._cache.popitem(last=False)
                self._cached -= gone.size
        return encoded

    @torch.inference_mode()
    def _encode(self, prompts: Sequence[ChunkedPrompt], clip_skip: int, emphasis: str) -> Encoded:
        """One model call per column of chunks."""
        columns = [
            self._encode_column(column, clip_skip, emphasis)
            for column in chunk_columns(prompts, self._special)
        ]
        return Encoded(torch.cat([column.states for column in columns], dim=1), columns[0].pooled)

    def _encode_column(self, column: Sequence[Chunk], clip_skip: int, emphasis: str) -> Encoded:
        tokens = torch.tensor([chunk.tokens for chunk in column], device=self.device)
        multipliers = torch.tensor([chunk.multipliers for chunk in column], device=self.device)
        with replacing_tokens(self._placed(column)):
            states, last = hidden_states(self.model, tokens, clip_skip, final_norm=self._final_norm)
        # The model may have come to the device when it was called (docs/adr/0016).
        tokens, multipliers = tokens.to(last.device), multipliers.to(last.device)
        pooled = pool(last, tokens, self.projection).float() if self.projection else None
        return Encoded(emphasise(states.float(), multipliers, emphasis), pooled)

    def _placed(self, column: Sequence[Chunk]) -> Sequence[tuple[int, int, Tensor]]:
        """The embeddings' vectors as (row, first position counting BOS, vectors (n, width))."""
        additions = current()
        if additions is None or additions.vocabulary is None:
            return ()
        return [
            (
                row,
                placement.offset + 1,
                additions.vocabulary.vectors(placement.embedding.name, self._part, self.width),
            )
            for row, chunk in enumerate(column)
            for placement in chunk.embeddings
        ]


def _identity(prompts: Sequence[ChunkedPrompt]) -> Hashable:
    """Equal while the job adds the same LoRAs and embeddings to these prompts' encoding."""
    additions = current()
    if additions is None:
        return None
    vocabulary = additions.vocabulary
    return additions.key, vocabulary.identity(prompts) if vocabulary else ()


def hidden_states(
    model: "CLIPTextModel", tokens: Tensor, clip_skip: int, *, final_norm: bool = True
) -> tuple[Tensor, Tensor]:
    """The output of the `clip_skip`-th last layer, and the last layer's after the final norm.

    `tokens` is (rows, 77) int64, both results are (rows, 77, width). With `final_norm` the first
    result goes through the final norm too. Raises `InvalidRequest` if there is no such layer.
    """
    layers = model.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise InvalidRequest(
            "CLIP_stop_at_last_layers", f"must be 1 to {layers} for this checkpoint"
        )
    if clip_skip == 1 and final_norm:
        last = model(input_ids=tokens).last_hidden_state
        return last, last
    out = model(input_ids=tokens, output_hidden_states=True)
    state = out.hidden_states[-clip_skip]
    return model.final_layer_norm(state) if final_norm else state, out.last_hidden_state


def pool(last: Tensor, tokens: Tensor, projection: nn.Linear) -> Tensor:
    """Pooled vectors (rows, width): the projected state at each text's end token.

    `last` is (rows, 77, width) and `tokens` (rows, 77); the end token has the largest id.
    """
    rows = torch.arange(len(tokens), device=tokens.device)
    return projection(last[rows, tokens.argmax(dim=-1)])


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
