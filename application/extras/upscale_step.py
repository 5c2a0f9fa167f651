"""Enlarging as extras do it: by a factor or to a size, with one upscaler or two mixed.

Source: spec images.md 10.1.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

from PIL import Image

from hexfusion.application.pictures.picture_files import MAX_PIXELS
from hexfusion.application.pictures.upscaling import Stoppable, upscaled_size
from hexfusion.application.ports.upscale import Advance, Upscaler
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.extras import ExtrasRequest
from hexfusion.domain.picture_boxes import Size
from hexfusion.domain.upscalers import UpscaleSettings

#: Bytes that pictures kept for later requests may take by default.
CACHE = 128 * 2**20

Key = tuple[object, ...]


class Enlarged:
    """The pictures enlarged last, so that another mix or crop of one is at hand.

    `limit` is the bytes that they may take together. Safe to use from many threads.
    """

    def __init__(self, limit: int = CACHE) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._pictures: OrderedDict[Key, Image.Image] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """How many bytes the pictures take."""
        return self._bytes

    def takes(self, size: Size, mode: str) -> bool:
        """Whether a picture of that size, (width, height) in pixels, and mode could be kept."""
        return size_in_memory(size, mode) <= self._limit

    def get(self, key: Key) -> Image.Image | None:
        """The picture, which then is the last to go."""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def put(self, key: Key, picture: Image.Image, count: int) -> None:
        """Keep it, and at most `count` pictures altogether."""
        with self._lock:
            if (old := self._pictures.pop(key, None)) is not None:
                self._bytes -= size_in_memory(old.size, old.mode)
            self._pictures[key] = picture
            self._bytes += size_in_memory(picture.size, picture.mode)
            while self._pictures and (len(self._pictures) > count or self._bytes > self._limit):
                _, gone = self._pictures.popitem(last=False)
                self._bytes -= size_in_memory(gone.size, gone.mode)


def size_in_memory(size: Size, mode: str) -> int:
    """Bytes that Pillow takes for the pixels: one each in modes of one byte, else four."""
    return size[0] * size[1] * (1 if mode in ("1", "L", "P") else 4)


class UpscaleStep:
    """Enlarges one picture after the other as one request asks; `settings` are its options'.

    `limit` is how many pictures are kept in `cache` (option upscaling_max_images_in_cache).
    """

    def __init__(
        self,
        upscaler: Upscaler,
        request: ExtrasRequest,
        settings: UpscaleSettings,
        cache: Enlarged,
        limit: int,
    ) -> None:
        self._upscaler = upscaler
        self._request = request
        self._settings = settings
        self._cache = cache
        self._limit = limit

    def check(self) -> None:
        """Raises what is wrong with the upscalers' names; the second counts only with a first."""
        if self._request.upscaler_1 == "None":
            return
        for name in (self._request.upscaler_1, self._request.upscaler_2):
            self._upscaler.check(name, self._settings)

    @property
    def field(self) -> str:
        """The field that says how large the results are."""
        return "upscaling_resize_w" if self._request.resize_mode == 1 else "upscaling_resize"

    def sizes(self, sizes: Sequence[Size]) -> list[Size]:
        """The pictures' sizes (width, height) once they are enlarged; of one that is cropped the
        larger of both. Raises `InvalidRequest` for one that is too large for any upscaler."""
        if self._request.upscaler_1 == "None":
            return list(sizes)
        asked = (self._request.upscaling_resize_w, self._request.upscaling_resize_h)
        enlarged = []
        for size in sizes:
            made = upscaled_size(size, self._factor(size))
            if self._request.resize_mode == 1:
                made = max(made, asked, key=lambda each: each[0] * each[1])
            if made[0] * made[1] > MAX_PIXELS:
                message = f"makes {made[0]}x{made[1]}; a picture may have {MAX_PIXELS} pixels"
                raise InvalidRequest(self.field, message)
            enlarged.append(made)
        return enlarged

    def __call__(
        self, image: Image.Image, done: dict[str, object], advance: Advance
    ) -> Image.Image:
        """The larger picture; what was done is added to `done`. Its size has been checked."""
        request = self._request
        if request.upscaler_1 == "None":
            return image
        first = self._enlarged(image, request.upscaler_1, done, advance)
        done["Postprocess upscaler"] = request.upscaler_1
        visibility = request.extras_upscaler_2_visibility
        if request.upscaler_2 == "None" or not visibility:
            return first
        second = self._enlarged(image, request.upscaler_2, done, advance)
        done["Postprocess upscaler 2"] = request.upscaler_2
        return Image.blend(first, second.convert(first.mode), visibility)

    def _enlarged(
        self, image: Image.Image, name: str, done: dict[str, object], advance: Advance
    ) -> Image.Image:
        request = self._request
        width, height = request.upscaling_resize_w, request.upscaling_resize_h
        factor = self._factor(image.size)
        if request.resize_mode == 1:
            done["Postprocess upscale to"] = f"{width}x{height}"
        else:
            done["Postprocess upscale by"] = request.upscaling_resize
        larger = self._upscaled(image, name, factor, advance)
        if request.resize_mode == 1 and request.upscaling_crop:
            done["Postprocess crop to"] = f"{width}x{height}"
            canvas = Image.new("RGB", (width, height))
            corner = width // 2 - larger.width // 2, height // 2 - larger.height // 2
            canvas.paste(larger, corner)
            return canvas
        return larger

    def _factor(self, size: Size) -> float:
        request = self._request
        if request.resize_mode == 0:
            return float(request.upscaling_resize)
        return max(request.upscaling_resize_w / size[0], request.upscaling_resize_h / size[1])

    def _upscaled(
        self, image: Image.Image, name: str, factor: float, advance: Advance
    ) -> Image.Image:
        listening = Stoppable(advance)
        size = upscaled_size(image.size, factor)
        if self._limit <= 0 or not self._cache.takes(size, image.mode):
            return self._upscaler.upscale(image, factor, name, self._settings, listening)
        pixels = hashlib.sha256(image.tobytes()).digest()
        key = (pixels, image.size, image.mode, name, factor, self._settings)
        if (known := self._cache.get(key)) is not None:
            return known.copy()
        larger = self._upscaler.upscale(image, factor, name, self._settings, listening)
        if not listening.stopped and self._cache.takes(larger.size, larger.mode):
            self._cache.put(key, larger.copy(), self._limit)
        return larger
