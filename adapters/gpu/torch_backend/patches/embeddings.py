"""Textual-inversion embeddings: reading their vectors, and finding their names in prompts.

Textual inversion: Gal et al. 2022 (arXiv:2208.01618). Source: spec prompts.md 7, networks.md 2.6.
"""

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.files.validation import check_finite, check_plain
from hexfusion.adapters.gpu.torch_backend.files.weights import read_torch_file, read_weights
from hexfusion.application.pictures.embedded_embeddings import embedded_in
from hexfusion.domain import extra_networks as networks
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.extra_networks import SINGLE_TENSOR, UsedEmbedding, vectors_in
from hexfusion.domain.prompts import ChunkedPrompt, EmbeddingIndex, PromptEmbedding, Tokenize

#: Bytes that are kept of embeddings. Most take 10 to 100 KB.
KEPT_BYTES = 64 * 2**20

Vectors = Mapping[str, Tensor]
"""(n, width) float32 by the text encoder they are for; see `domain.extra_networks.vectors_in`."""

FileStamp = tuple[str, int, int]
"""Path, modification time (ns) and size (bytes): they identify a version of a file."""


def file_stamp(path: str) -> FileStamp:
    """The file's `FileStamp`. Raises `CheckpointError` where it cannot be read."""
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error
    return path, stat.st_mtime_ns, stat.st_size


def read_embedding(path: Path) -> Vectors:
    """The vectors in a `.pt`, `.bin` or `.safetensors` file, or in a picture.

    Raises `CheckpointError`, naming the file, for one that is damaged, or is no embedding.
    """
    match path.suffix.lower():
        case ".safetensors":
            content: object = dict(read_weights(path))
        case ".pt" | ".bin":
            content = read_torch_file(path)
        case _:
            content = _read_picture(path)
    return vectors_of(str(path), content)


def vectors_of(file: str, content: object) -> Vectors:
    """The vectors in the dictionary of an embedding file.

    Raises `CheckpointError`, naming `file`, where there are none, or they have no sound shape.
    """
    found = vectors_in(content, Tensor)
    if found is None:
        raise CheckpointError(file, "holds no embedding")
    return {part: _matrix(file, part, tensor) for part, tensor in found.items()}


def _matrix(file: str, part: str, tensor: Tensor) -> Tensor:
    name = part or "vectors"
    whole = check_finite(check_plain(tensor.detach(), file, name), file, name)
    matrix = whole[None] if whole.ndim == 1 else whole
    if matrix.ndim != 2 or not matrix.numel():
        shape = list(tensor.shape)
        raise CheckpointError(file, f"has vectors of shape {shape}", part or None)
    return matrix.to(torch.float32, copy=True)


def _read_picture(path: Path) -> object:
    try:
        with path.open("rb") as file:
            return embedded_in(file, torch.tensor)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(str(path), f"holds no embedding: {error}") from error


class EmbeddingFiles:
    """Reads embedding files, and keeps the vectors of the last `limit` of them, of at most `size`
    bytes together.

    A file that changed is read again. Safe to use from many threads.
    """

    def __init__(self, limit: int = 256, size: int = KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._held: dict[FileStamp, Vectors] = {}
        self._limit = limit
        self._size = size
        self._bytes = 0

    def __call__(self, path: str) -> tuple[FileStamp, Vectors]:
        """The file's stamp and its vectors. Raises `CheckpointError`."""
        key = file_stamp(path)
        with self._lock:
            if key in self._held:
                return key, self._held[key]
            vectors = read_embedding(Path(path))
            self._held[key] = vectors
            self._bytes += bytes_of(vectors.values())
            while self._held and (len(self._held) > self._limit or self._bytes > self._size):
                gone = self._held.pop(next(iter(self._held)))
                self._bytes -= bytes_of(gone.values())
            return key, vectors


@dataclass(frozen=True, eq=False)
class Bundled:
    """An embedding inside a LoRA's file; `lora` is that LoRA's name in the prompt."""

    lora: str
    file_stamp: FileStamp
    vectors: Vectors


class EmbeddingVocabulary:
    """The embeddings that fit a checkpoint's text encoders, by name.

    `width` is the sum of the encoders' token widths; embeddings of another width are left out. Of
    two with the same name, one with a file of its own (`listed`) is preferred to a `bundled` one.
    Safe to use from many threads.
    """

    def __init__(
        self,
        files: EmbeddingFiles,
        listed: Sequence[networks.Embedding],
        bundled: Mapping[str, Bundled],
        width: int,
    ) -> None:
        self._files = files
        self._listed = {each.name: each for each in listed}
        self._bundled = {name: each for name, each in bundled.items() if name not in self._listed}
        known = {each.name: each.vectors for each in listed if each.width == width}
        known |= {
            name: _rows(each.vectors)
            for name, each in self._bundled.items()
            if sum(tensor.shape[1] for tensor in each.vectors.values()) == width
        }
        self._known = [PromptEmbedding(name, vectors) for name, vectors in known.items()]
        self._indexes: dict[Tokenize, EmbeddingIndex] = {}

    def lookup(self, tokenize: Tokenize) -> EmbeddingIndex:
        """The index that finds them in prompts tokenized by `tokenize`."""
        if tokenize not in self._indexes:
            ids = tokenize([each.name for each in self._known])
            self._indexes[tokenize] = EmbeddingIndex(zip(self._known, ids, strict=True))
        return self._indexes[tokenize]

    def vectors(self, name: str, part: str, width: int) -> Tensor:
        """The embedding's vectors (n, width) for the encoder `part`: "clip_l" or "clip_g".

        Raises `CheckpointError` where its file has none of that width.
        """
        key, vectors = self._read(name)
        found = vectors.get(part, vectors.get(SINGLE_TENSOR))
        if found is None or found.shape[1] != width:
            raise CheckpointError(key[0], f"has no vectors of width {width} for this encoder")
        return found

    def identity(self, prompts: Sequence[ChunkedPrompt]) -> Hashable:
        """Equal for prompts that name the same embeddings while their files are the same."""
        return tuple((name, self._read(name)[0]) for name in names_in(prompts))

    def used(self, prompts: Sequence[ChunkedPrompt]) -> tuple[UsedEmbedding, ...]:
        """The embeddings that these prompts name, in the order in which they are encoded."""
        bundled = self._bundled
        return tuple(
            UsedEmbedding(name, bundled[name].lora if name in bundled else None)
            for name in names_in(prompts)
        )

    def _read(self, name: str) -> tuple[FileStamp, Vectors]:
        if name in self._bundled:
            return self._bundled[name].file_stamp, self._bundled[name].vectors
        return self._files(self._listed[name].path)


def names_in(prompts: Sequence[ChunkedPrompt]) -> tuple[str, ...]:
    """The embeddings' names, each once: first those in all first chunks, then in second ones."""
    most = max((len(each.chunks) for each in prompts), default=0)
    columns = [[p.chunks[i] for p in prompts if i < len(p.chunks)] for i in range(most)]
    return tuple(
        dict.fromkeys(
            placement.embedding.name
            for column in columns
            for chunk in column
            for placement in chunk.embeddings
        )
    )


def _rows(vectors: Vectors) -> int:
    return len(vectors.get("clip_g", next(iter(vectors.values()))))
