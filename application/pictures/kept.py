"""Keeps the pictures of a job: a few as they are, the others as bytes in a spool.

A long job would otherwise hold all of its pictures in memory until the last is made. A picture that
comes back from the spool is equal to the one that went in, pixel by pixel.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, overload

from PIL import Image

from hexfusion.application.ports.spool import Spool
from hexfusion.domain.picture_boxes import Size

IN_MEMORY = 16 << 20
"""Bytes of a job's pictures that stay in memory."""

STRIP = 1 << 20
"""Bytes, about, that are moved at once."""


class KeptPicture(Protocol):
    """A picture that is at hand, or can be fetched."""

    @property
    def size(self) -> Size:
        """(width, height) in pixels."""
        ...

    def image(self) -> Image.Image:
        """The picture. Raises `SpoolError`."""
        ...


class InMemory:
    """A picture as it is."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @property
    def size(self) -> Size:
        """See `KeptPicture.size`."""
        return self._image.size

    def image(self) -> Image.Image:
        """The same picture every time."""
        return self._image


class Spooled:
    """A picture whose pixels lie in a spool, by strips of rows."""

    def __init__(self, image: Image.Image, spool: Spool) -> None:
        self.size: Size = image.size
        self._spool = spool
        # One pixel has mode, palette and texts, and grows back to a picture with the same ones.
        self._pattern = image.crop((0, 0, 1, 1))
        self._lengths: list[int] = []
        self._start = spool.append(self._pieces(image))

    def image(self) -> Image.Image:
        """A new picture each time."""
        whole = self._pattern.resize(self.size, Image.Resampling.NEAREST)
        start = self._start
        for box, length in zip(_strips(self._pattern, self.size), self._lengths, strict=True):
            data = self._spool.read(start, length)
            strip = Image.frombytes(whole.mode, (self.size[0], box[3] - box[1]), data)
            if whole.palette is not None:  # pasting would look for colours of the same name
                strip.palette = whole.palette
            whole.paste(strip, box)
            start += length
        return whole

    def _pieces(self, image: Image.Image) -> Iterator[bytes]:
        for box in _strips(image, self.size):
            data = image.crop(box).tobytes()
            self._lengths.append(len(data))
            yield data


def _strips(image: Image.Image, size: Size) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows from top to bottom, each of about STRIP bytes."""
    width, height = size
    rows = max(1, STRIP // (width * len(image.getbands())))
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


class PictureKeeper:
    """Keeps the pictures of one job; without a `spool` all of them in memory.

    `memory` bounds the bytes that stay in memory, before everything goes to the spool. One thread
    keeps; any thread may read what is kept.
    """

    def __init__(self, spool: Spool | None = None, memory: int = IN_MEMORY) -> None:
        self._spool = spool
        self._left = memory

    def keep(self, image: Image.Image) -> KeptPicture:
        """Keep a picture, which must not be changed afterwards. Raises `SpoolError`."""
        size = image.width * image.height * (1 if len(image.getbands()) == 1 else 4)
        if self._spool is None or size <= self._left:
            self._left -= size
            return InMemory(image)
        return Spooled(image, self._spool)

    def close(self) -> None:
        """Give up what went to the spool."""
        if self._spool is not None:
            self._spool.close()


@contextmanager
def keeping(keeper: PictureKeeper) -> Iterator[PictureKeeper]:
    """The keeper of a job while that runs; a job that fails gives up what it has made at once."""
    try:
        yield keeper
    except BaseException:
        keeper.close()
        raise


class Fetched(Sequence[Image.Image]):
    """Kept pictures as a sequence of pictures; each is fetched when it is asked for."""

    def __init__(self, kept: Sequence[KeptPicture]) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...

    @overload
    def __getitem__(self, place: slice) -> "Fetched": ...

    def __getitem__(self, place: int | slice) -> "Image.Image | Fetched":
        if isinstance(place, slice):
            return Fetched(self._kept[place])
        return self._kept[place].image()

    @property
    def cell(self) -> Size:
        """The largest width and the largest height of them, (0, 0) of none."""
        sizes = [each.size for each in self._kept]
        return max((w for w, _ in sizes), default=0), max((h for _, h in sizes), default=0)
