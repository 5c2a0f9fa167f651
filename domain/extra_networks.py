"""LoRA, hypernetworks and textual-inversion embeddings: names, aliases, hashes, metadata.

Source: spec networks.md 2.1, 3, 6; prompts.md 7.1, 7.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Digits of the hash that infotext shows.
SHORT_HASH_DIGITS = 12

#: Key of the vectors of an embedding that has a single tensor (SD1, SD2).
SINGLE_TENSOR = ""

#: Metadata keys that listings show first.
_LISTED_FIRST = (
    "ss_sd_model_name",
    "ss_resolution",
    "ss_clip_skip",
    "ss_num_train_images",
    "ss_tag_frequency",
)


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA, LyCORIS or similar network.

    `name` is the file name without extension, `path` the absolute path, `metadata` the metadata in
    the file's header. `hash` is lower-case hex, None while unknown: the hash in the metadata, else
    the sha256 of a safetensors file's tensors, or of the whole file for other formats.
    """

    name: str
    path: str
    metadata: Mapping[str, Any] = {}
    hash: str | None = None

    @property
    def shorthash(self) -> str | None:
        """The first twelve digits of the hash, as infotext shows them."""
        return self.hash and self.hash[:SHORT_HASH_DIGITS]

    @property
    def alias(self) -> str:
        """The output name from the training metadata, else the file name."""
        return str(self.metadata.get("ss_output_name") or self.name)


class LoraNames:
    """Looks up the LoRA that a prompt names, by file name or by alias.

    An alias that an earlier LoRA already has as name or alias is ambiguous. An ambiguous word (in
    any case), and the word "none", match file names only. Of two equal names the later one wins.
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
        """The LoRA of the prompt tag `<lora:word:...>`, None if there is none."""
        candidates = self._by_name if word.lower() in self._forbidden else self._by_word
        return candidates.get(word)

    def preferred(self, lora: Lora, *, by_file: bool) -> str:
        """The word to write into a prompt: the alias, or the file name with `by_file` and where the
        alias is ambiguous."""
        ambiguous = lora.alias.lower() in self._forbidden
        return lora.name if by_file or ambiguous else lora.alias


class Hypernetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork: the file's name without extension, and its absolute path."""

    name: str
    path: str


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """A textual-inversion embedding: `vectors` vectors of `width` floats each.

    `step` is the number of training steps, `sd_checkpoint` the hash and `sd_checkpoint_name` the
    name of the checkpoint it was trained on; each is None if the file does not contain it. `path`
    is the file's path, `hash` its sha256 in lower-case hex, None while unknown.
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
    """An embedding that a prompt used. `lora` is the LoRA file it is bundled in, None for an
    embedding from a file of its own."""

    name: str
    lora: str | None = None


def metadata_for_listing(metadata: Mapping[str, str]) -> dict[str, Any]:
    """A LoRA file's metadata as listings show it: JSON objects decoded, important keys first."""
    names = [name for name in _LISTED_FIRST if name in metadata]
    names += [name for name in metadata if name not in _LISTED_FIRST]
    return {name: _read_object(metadata[name]) for name in names}


def embedding_of(name: str, content: object) -> Embedding | None:
    """Describes the embedding in a file, None if the file has none. Source: spec prompts.md 7.1.

    `content` is the file's dictionary with a `Shape` in place of each tensor.
    """
    shapes = vectors_in(content, Shape)
    if shapes is None or not all(shape.rows and shape.width for shape in shapes.values()):
        return None
    about = content if isinstance(content, Mapping) and SINGLE_TENSOR in shapes else {}
    return Embedding(
        name=name,
        vectors=next(reversed(shapes.values())).rows,
        width=sum(shape.width for shape in shapes.values()),
        step=_number(about.get("step")),
        sd_checkpoint=_text(about.get("sd_checkpoint")),
        sd_checkpoint_name=_text(about.get("sd_checkpoint_name")),
    )


def vectors_in(content: object, tensor: type[T]) -> dict[str, T] | None:
    """The tensors of vectors in an embedding file's dictionary, None if it has none.

    The key is `SINGLE_TENSOR`, or, for SDXL, one of "clip_l" and "clip_g" for each text encoder.
    `tensor` is the type of the tensors in `content`. Source: spec prompts.md 7.1.
    """
    match content:
        case {"string_to_param": {**parameters}} if len(parameters) == 1:
            values: dict[str, object] = {SINGLE_TENSOR: next(iter(parameters.values()))}
        case {"clip_g": large, "clip_l": small}:
            values = {"clip_l": small, "clip_g": large}
        case {**entries} if len(entries) == 1:
            values = {SINGLE_TENSOR: next(iter(entries.values()))}
        case _:
            return None
    vectors = {name: each for name, each in values.items() if isinstance(each, tensor)}
    return vectors if len(vectors) == len(values) else None


class Shape(msgspec.Struct, frozen=True):
    """The shape of a tensor: the length of each dimension."""

    sides: tuple[int, ...]

    @property
    def width(self) -> int:
        """Length of the last dimension: numbers in each vector."""
        return self.sides[-1] if self.sides else 0

    @property
    def rows(self) -> int:
        """Number of vectors: 1 for a 1-D tensor, rows of a 2-D tensor, 0 for any other."""
        match self.sides:
            case (_,):
                return 1
            case (rows, _):
                return rows
            case _:
                return 0


def shape_of(numbers: object) -> Shape:
    """The shape of nested lists, judged by the first entry of each; at most three dimensions."""
    sides: list[int] = []
    while isinstance(numbers, Sequence) and len(sides) < 3:
        sides.append(len(numbers))
        numbers = numbers[0] if numbers else None
    return Shape(tuple(sides))


def text_width(shapes: Mapping[str, Shape]) -> int | None:
    """Width of a checkpoint's token embeddings, which a usable embedding must match.

    `shapes` are the checkpoint's tensors by name. The sum over all text encoders (SDXL: 768 +
    1280); None if there is no token embedding. The text model inside an unCLIP image encoder
    (`embedder.`) does not count: it reads no prompt. Source: spec prompts.md 7.2.
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
    """(embeddings that fit a checkpoint of text width `width`, embeddings that do not).

    Both are sorted by name, ignoring case. A `width` of None (unknown) fits every embedding.
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
