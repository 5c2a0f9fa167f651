"""Small networks beside a checkpoint, as lists show them: LoRA, hypernetworks, embeddings.

Source: spec networks.md 2.1, 3, 6; prompts.md 7.1, 7.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Digits of a hash that infotext shows.
SHORT_HASH_DIGITS = 12

#: What an embedding's vectors are called where there is one tensor of them.
SINGLE_TENSOR = ""

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
    maker wrote into the file. `hash` is lower-case hex, None while unknown: what its maker wrote,
    else the sha256 of a safetensors file's tensors, or of any other file as a whole.
    """

    name: str
    path: str
    metadata: Mapping[str, Any] = {}
    hash: str | None = None

    @property
    def shorthash(self) -> str | None:
        """Its first twelve digits, as infotext shows them."""
        return self.hash and self.hash[:SHORT_HASH_DIGITS]

    @property
    def alias(self) -> str:
        """The name its maker gave it, if any."""
        return str(self.metadata.get("ss_output_name") or self.name)


class LoraNames:
    """By which words prompts find LoRAs: file names, and aliases that mean one LoRA alone.

    An alias that an earlier file has for a name or alias means none; such a word, capitals or not,
    is a file name only, and so is "none".
    """

    def __init__(self, loras: Sequence[Lora]) -> None:
        self._by_name = {each.name: each for each in loras}
        self._by_word: dict[str, Lora] = {}
        self._forbidden = {"none"}
        for each in loras:
            if each.alias in self._by_word:
                self._forbidden.add(each.alias.lower())
            self._by_word[each.name] = self._by_word[each.alias] = each

    def find(self, word: str) -> Lora | None:
        """The LoRA that a prompt means."""
        found = self._by_name if word.lower() in self._forbidden else self._by_word
        return found.get(word)

    def preferred(self, lora: Lora, *, by_file: bool) -> str:
        """The word for it: its alias, unless `by_file` or where that would not find it."""
        ambiguous = lora.alias.lower() in self._forbidden
        return lora.name if by_file or ambiguous else lora.alias


class Hypernetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork: the file's name without extension, and its absolute path."""

    name: str
    path: str


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """A textual-inversion embedding: `vectors` vectors of `width` numbers each.

    `step` is how long it was trained, the other two say on which checkpoint; None where the file
    does not tell. `path` is that of the file, `hash` its sha256 in lower-case hex, None while
    unknown.
    """

    name: str
    vectors: int
    width: int
    step: int | None = None
    sd_checkpoint: str | None = None
    sd_checkpoint_name: str | None = None
    path: str = ""
    hash: str | None = None

    @property
    def shorthash(self) -> str | None:
        """The first twelve digits, as infotext shows them."""
        return self.hash and self.hash[:SHORT_HASH_DIGITS]


class UsedEmbedding(msgspec.Struct, frozen=True):
    """An embedding that a prompt named; `lora` is the one it came with, None for one of its own."""

    name: str
    lora: str | None = None


def metadata_for_listing(metadata: Mapping[str, str]) -> dict[str, Any]:
    """A LoRA file's metadata as lists show it: objects read, the telling entries first."""
    names = [name for name in _FIRST if name in metadata]
    names += [name for name in metadata if name not in _FIRST]
    return {name: _read_object(metadata[name]) for name in names}


def embedding_of(name: str, content: object) -> Embedding | None:
    """The embedding that a file holds, None if it holds none. Source: spec prompts.md 7.1.

    `content` is the file's dictionary, in which a `Shape` stands for each tensor.
    """
    found = vectors_in(content, Shape)
    if found is None or not all(shape.rows and shape.width for shape in found.values()):
        return None
    about = content if isinstance(content, Mapping) and SINGLE_TENSOR in found else {}
    return Embedding(
        name=name,
        vectors=next(reversed(found.values())).rows,
        width=sum(shape.width for shape in found.values()),
        step=_number(about.get("step")),
        sd_checkpoint=_text(about.get("sd_checkpoint")),
        sd_checkpoint_name=_text(about.get("sd_checkpoint_name")),
    )


def vectors_in(content: object, tensor: type[T]) -> dict[str, T] | None:
    """The vectors in an embedding file's dictionary, None if it holds none.

    They are called `SINGLE_TENSOR`, or where SDXL's encoders each have their own "clip_l" and "clip_g".
    `tensor` is what tensors are instances of. Source: spec prompts.md 7.1.
    """
    match content:
        case {"string_to_param": {**parameters}} if len(parameters) == 1:
            found: dict[str, object] = {SINGLE_TENSOR: next(iter(parameters.values()))}
        case {"clip_g": large, "clip_l": small}:
            found = {"clip_l": small, "clip_g": large}
        case {**entries} if len(entries) == 1:
            found = {SINGLE_TENSOR: next(iter(entries.values()))}
        case _:
            return None
    vectors = {name: each for name, each in found.items() if isinstance(each, tensor)}
    return vectors if len(vectors) == len(found) else None


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


def shape_of(numbers: object) -> Shape:
    """Of nested lists, by their first entries."""
    sides: list[int] = []
    while isinstance(numbers, Sequence) and len(sides) < 3:
        sides.append(len(numbers))
        numbers = numbers[0] if numbers else None
    return Shape(tuple(sides))


def text_width(shapes: Mapping[str, Shape]) -> int | None:
    """The width of a checkpoint's token embeddings, which an embedding must have too.

    Of several text encoders the sum (SDXL: 768 + 1280); None where the names of the tensors tell
    of none. An unCLIP's image encoder may have brought a text model along, which reads no prompt.
    Source: spec prompts.md 7.2.
    """
    widths = [
        shape.width
        for name, shape in shapes.items()
        if name.endswith("token_embedding.weight") and not name.startswith("embedder.")
    ]
    return sum(widths) or None


def split_by_text_width(
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
