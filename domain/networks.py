"""Small networks beside a checkpoint, as lists show them: LoRA, hypernetworks, embeddings.

Source: spec networks.md 2.1, 3, 6; prompts.md 7.1, 7.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

#: What a LoRA's metadata begins with.
_FIRST = (
    "ss_sd_model_name",
    "ss_resolution",
    "ss_clip_skip",
    "ss_num_train_images",
    "ss_tag_frequency",
)


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA or one of its kin.

    `name` is the file's name without extension, `path` the absolute path, `metadata` what its
    maker wrote into the file.
    """

    name: str
    path: str
    metadata: Mapping[str, Any] = {}

    @property
    def alias(self) -> str:
        """The name its maker gave it, if any."""
        return str(self.metadata.get("ss_output_name") or self.name)


class Hypernetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork: the file's name without extension, and its absolute path."""

    name: str
    path: str


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """A textual-inversion embedding: `vectors` vectors of `width` numbers each.

    `step` is how long it was trained, the other two say on which checkpoint; None where the file
    does not tell.
    """

    name: str
    vectors: int
    width: int
    step: int | None = None
    sd_checkpoint: str | None = None
    sd_checkpoint_name: str | None = None


def shown_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """A LoRA file's metadata as lists show it: objects read, the telling entries first."""
    names = [name for name in _FIRST if name in metadata]
    names += [name for name in metadata if name not in _FIRST]
    return {name: _read_object(metadata[name]) for name in names}


def embedding_of(name: str, content: object) -> Embedding | None:
    """The embedding that a file holds, None if it holds none. Source: spec prompts.md 7.1.

    `content` is the file's dictionary, in which a `Shape` stands for each tensor.
    """
    about: Mapping[object, object] = {}
    match content:
        case {"string_to_param": {**parameters}, **others} if len(parameters) == 1:
            (shape,) = parameters.values()
            about = others
        case {"clip_g": Shape() as large, "clip_l": Shape() as small}:
            rows, width = large.rows, large.width + small.width
            return Embedding(name=name, vectors=rows, width=width) if rows and width else None
        case {**entries} if len(entries) == 1:
            (shape,) = entries.values()
        case _:
            return None
    if not isinstance(shape, Shape) or not shape.rows:
        return None
    return Embedding(
        name=name,
        vectors=shape.rows,
        width=shape.width,
        step=_number(about.get("step")),
        sd_checkpoint=_text(about.get("sd_checkpoint")),
        sd_checkpoint_name=_text(about.get("sd_checkpoint_name")),
    )


class Shape(msgspec.Struct, frozen=True):
    """The sides of a tensor."""

    sides: tuple[int, ...]

    @property
    def width(self) -> int:
        """The last side."""
        return self.sides[-1] if self.sides else 0

    @property
    def rows(self) -> int:
        """How many vectors it is: one if it has a single side, none if more than two."""
        match self.sides:
            case (_,):
                return 1
            case (rows, _):
                return rows
            case _:
                return 0


def text_width(shapes: Mapping[str, Shape]) -> int | None:
    """The width of a checkpoint's token embeddings, which an embedding must have too.

    Of several text encoders the sum (SDXL: 768 + 1280); None where the names of the tensors tell
    of none. Source: spec prompts.md 7.2.
    """
    widths = [
        shape.width for name, shape in shapes.items() if name.endswith("token_embedding.weight")
    ]
    return sum(widths) or None


def fitting(
    embeddings: Sequence[Embedding], width: int | None
) -> tuple[list[Embedding], list[Embedding]]:
    """Those a checkpoint of that text width can use, and the others; each by name.

    Where the width is not known all of them may fit.
    """
    ordered = sorted(embeddings, key=lambda each: each.name.lower())
    fit = [each for each in ordered if width in (None, each.width)]
    return fit, [each for each in ordered if each not in fit]


def _read_object(text: str) -> Any:
    if not text.startswith("{"):
        return text
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
