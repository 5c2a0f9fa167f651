"""The prompt language, and the order of its processing steps (spec prompts.md section 0).

1. `apply_styles`       the texts of named styles are added to the prompt
2. `strip_comments`     `# ...` is removed; the result is the prompt that infotext records
3. `extract_networks`   `<lora:x:1>` is removed (positive prompts); the first prompt's tags apply
4. `split_and`          `a AND b :0.5` becomes several prompts (positive prompts)
5. `prompt_schedule`    `[a:b:8]`, `[a|b]` become one text per range of steps
6. `parse_attention`    `(a:1.3)`, `[b]`, `BREAK` become weighted spans
7. `chunk_prompt`       spans become token rows of 77 for a text encoder

`positive_parts` and `negative_parts` do steps 4 and 5 for a plan; the inference backend, which has
the tokenizer, does 6 and 7.
"""

from hexfusion.domain.prompts.attention import Span, parse_attention, unparse, uses_emphasis
from hexfusion.domain.prompts.chunks import (
    CHUNK_TOKENS,
    CLIP_L,
    OPEN_CLIP,
    Chunk,
    ChunkedPrompt,
    EmbeddingIndex,
    EmbeddingLookup,
    EmbeddingMatch,
    EmbeddingPlacement,
    PromptEmbedding,
    SpecialTokens,
    Tokenize,
    chunk_columns,
    chunk_prompt,
    empty_chunk,
)
from hexfusion.domain.prompts.comments import strip_comments
from hexfusion.domain.prompts.composition import Composition, SubPrompt, TextUse, compose, split_and
from hexfusion.domain.prompts.extra_networks import (
    HypernetUse,
    LoraUse,
    NetworkTag,
    extract_networks,
    extract_networks_batch,
    hypernet_uses,
    lora_uses,
)
from hexfusion.domain.prompts.parts import PromptPart, negative_parts, positive_parts
from hexfusion.domain.prompts.schedule import (
    ScheduledText,
    entry_at,
    prompt_schedule,
    timelines_differ,
)
from hexfusion.domain.prompts.styles import (
    RecognisedStyles,
    Style,
    StyleFileError,
    apply_styles,
    divider,
    format_styles,
    parse_styles,
    recognise_styles,
)

__all__ = [
    "CHUNK_TOKENS",
    "CLIP_L",
    "OPEN_CLIP",
    "Chunk",
    "ChunkedPrompt",
    "Composition",
    "EmbeddingIndex",
    "EmbeddingLookup",
    "EmbeddingMatch",
    "EmbeddingPlacement",
    "HypernetUse",
    "LoraUse",
    "NetworkTag",
    "PromptEmbedding",
    "PromptPart",
    "RecognisedStyles",
    "ScheduledText",
    "Span",
    "SpecialTokens",
    "Style",
    "StyleFileError",
    "SubPrompt",
    "TextUse",
    "Tokenize",
    "apply_styles",
    "chunk_columns",
    "chunk_prompt",
    "compose",
    "divider",
    "empty_chunk",
    "entry_at",
    "extract_networks",
    "extract_networks_batch",
    "format_styles",
    "hypernet_uses",
    "lora_uses",
    "negative_parts",
    "parse_attention",
    "parse_styles",
    "positive_parts",
    "prompt_schedule",
    "recognise_styles",
    "split_and",
    "strip_comments",
    "timelines_differ",
    "unparse",
    "uses_emphasis",
]
