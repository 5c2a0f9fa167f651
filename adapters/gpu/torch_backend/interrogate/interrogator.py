"""`TorchInterrogator`: the interrogation port on torch."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL.Image import Image

from hexfusion.adapters.gpu.torch_backend.computing_threads import (
    by_computing_thread,
    in_computing_thread,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import ClipTokenizer
from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.interrogate import blip, clip, danbooru
from hexfusion.adapters.gpu.torch_backend.interrogate.model_locations import ModelLocations
from hexfusion.adapters.gpu.torch_backend.interrogate.picture_book import load_picture_book, look
from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import NotANumber
from hexfusion.domain.interrogation import CaptionSearch, TagScore
from hexfusion.domain.interrogation.starter_captions import caption_scene

T = TypeVar("T")
Loaded = tuple[Path, int]
"""A file and its modification time (ns)."""


class TorchInterrogator:
    """`Interrogator` on one device, whose lock is `turn`.

    Networks are loaded at their first use and stay in RAM; `release` moves them off the device.
    `book` returns the bytes of the captioner that is used where BLIP is not installed. `dtype` is
    DeepDanbooru's. `free` is called when memory runs out, and returns the bytes it freed.
    """

    def __init__(
        self,
        places: ModelLocations,
        book: Callable[[], bytes],
        device: torch.device,
        dtype: torch.dtype,
        turn: threading.Lock,
        *,
        files_below: FilesBelow,
        free: Callable[[], int] = lambda: 0,
    ) -> None:
        self._places = places
        self._read_book = book
        self._device = device
        self._dtype = dtype
        self._turn = turn
        self._files_below = files_below
        self._free = free
        self._loading = threading.Lock()
        self._held: dict[str, tuple[Loaded, Any]] = {}

    @by_computing_thread
    def caption(self, picture: Image, search: CaptionSearch, advance: Advance = go_on) -> str:
        """See `Interrogator.caption`: by BLIP, or else by the shipped captioner."""
        file = self._places.blip.find(self._files_below)
        if file is None:
            words = self._out_of_the_book(picture)
            advance(1, 1)
            return words

        def described() -> str:
            network = self._network("blip", file, blip.load_blip)
            with self._on_device(network):
                return blip.describe(network, picture, search, advance)

        return with_memory("a caption", described, self._free)

    def rank(
        self, picture: Image, lists: Sequence[Sequence[str]], advance: Advance = go_on
    ) -> Iterator[Sequence[float]]:
        """See `Interrogator.rank`: by CLIP."""
        file = self._places.clip.need(self._files_below, "comparing a picture with terms")

        def seen() -> tuple[clip.Clip, torch.Tensor]:
            network = self._network("clip", file, self._load_clip)
            with self._on_device(network):
                return network, _checked(clip.picture_vector(network, picture))

        def compared(chunk: Sequence[str]) -> torch.Tensor:
            with self._on_device(network):
                return _checked(clip.text_vectors(network, chunk))

        network, place = in_computing_thread(
            lambda: with_memory("comparing a picture with terms", seen, self._free)
        )
        done, of = 0, sum(-(-len(terms) // clip.CHUNK) for terms in lists)
        for terms in lists:
            found = []
            for chunk in clip.chunks(terms):
                found.append(in_computing_thread(partial(compared, chunk)))
                done += 1
                if advance(done, of) is not Verdict.CONTINUE:
                    return
            yield clip.text_probabilities(place, torch.cat(found)) if found else []

    @by_computing_thread
    def tags(self, picture: Image, advance: Advance = go_on) -> Sequence[TagScore]:
        """See `Interrogator.tags`: by DeepDanbooru."""
        file = self._places.danbooru.need(self._files_below, "deepdanbooru")

        def looked() -> tuple[danbooru.Tagger, Sequence[float]]:
            network = self._network("danbooru", file, self._load_danbooru)
            with self._on_device(network):
                return network, danbooru.probabilities(network, picture)

        network, found = with_memory("deepdanbooru", looked, self._free)
        if any(each != each for each in found):
            raise NotANumber(f"deepdanbooru yields NaN in {self._dtype}; try --no-half")
        advance(1, 1)
        return [TagScore(tag, each) for tag, each in zip(network.tags, found, strict=True)]

    def release(self) -> None:
        """See `Interrogator.release`."""
        with self._turn:
            for _, network in list(self._held.values()):
                if hasattr(network, "to"):
                    network.to(torch.device("cpu"))

    def size(self) -> int:
        """Bytes of the loaded networks, without the shipped captioner."""
        return sum(bytes_of(network.parameters()) for network in self._large())

    def drop(self) -> int:
        """Drop them; returns their bytes."""
        with self._loading:
            size = self.size()
            for name in [name for name in self._held if name != "book"]:
                del self._held[name]
        return size

    def _large(self) -> list[Any]:
        held = list(self._held.items())
        return [network for name, (_, network) in held if name != "book"]

    def _out_of_the_book(self, picture: Image) -> str:
        with self._loading:
            if "book" not in self._held:
                data = self._read_book()
                self._held["book"] = (Path(), 0), load_picture_book(data, "the starter's captioner")
            book = self._held["book"][1]
        return caption_scene(look(book, picture))

    @contextmanager
    def _on_device(self, network: Any) -> Iterator[None]:
        """A context with the network on the device, holding the device's lock."""
        with self._turn:
            network.to(self._device)
            yield

    def _network(self, name: str, file: Path, load: Callable[[Path], T]) -> T:
        """The network, loaded if it is not held or its file changed. Raises `CheckpointError`."""
        with self._loading:
            key = file, file.stat().st_mtime_ns
            held = self._held.get(name)
            if held is None or held[0] != key:
                self._held.pop(name, None)
                self._held[name] = held = key, load(file)
            return held[1]

    def _load_clip(self, file: Path) -> clip.Clip:
        return clip.load_clip(file, ClipTokenizer())

    def _load_danbooru(self, file: Path) -> danbooru.Tagger:
        return danbooru.load_danbooru(file, self._dtype)


def _checked(places: torch.Tensor) -> torch.Tensor:
    """Raises `NotANumber`."""
    if places.isnan().any():
        raise NotANumber("CLIP yields NaN: its file is damaged")
    return places
