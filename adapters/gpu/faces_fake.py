"""A fake face restorer without torch, for tests and for trying out clients."""

from collections.abc import Sequence

from PIL import Image, ImageOps

from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import ModelUnavailable, NotFound
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, FaceRestoration

#: Shortest side, in pixels, of a picture in which a face is detected.
_SMALLEST = 32


class FakeFaceRestorer:
    """Detects a face in the middle of every picture that is large enough, and inverts it.

    GFPGAN darkens the face by one of eight levels, depending on the seed; CodeFormer blends it with
    the original by its weight. `names` are the restorers reported as available.
    """

    def __init__(self, names: Sequence[str] = FACE_RESTORERS) -> None:
        self._names = tuple(name for name in FACE_RESTORERS if name in names)

    def list(self) -> Sequence[str]:
        """See `FaceRestorer.list`."""
        return self._names

    def check(self, model: str) -> None:
        """See `FaceRestorer.check`."""
        if model not in FACE_RESTORERS:
            raise NotFound("face restorer", model)
        if model not in self._names:
            raise ModelUnavailable(f"{model} needs a file that this backend pretends not to have")

    def restore(
        self, picture: Image.Image, how: FaceRestoration, *, seed: int = 0, advance: Advance = go_on
    ) -> Image.Image:
        """See `FaceRestorer.restore`."""
        self.check(how.model)
        picture = picture.convert("RGB")
        if min(picture.size) < _SMALLEST:
            return picture
        width, height = picture.size
        box = width // 4, height // 4, width * 3 // 4, height * 3 // 4
        face = picture.crop(box)
        mended = ImageOps.invert(face)
        if how.model == CODEFORMER:
            mended = Image.blend(mended, face, how.weight)
        else:
            tint = 8 * (seed % 8)
            mended = mended.point([max(0, level - tint) for level in range(256)] * 3)
        picture = picture.copy()
        picture.paste(mended, box)
        advance(1, 1)
        return picture
