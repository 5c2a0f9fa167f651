"""The results of generation: pictures with their infotext, and how to encode them."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.kept import InMemory, KeptPicture
from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.planning.limits import within
from hexfusion.application.saving.save_images import JobFiles
from hexfusion.domain.errors import InvalidRequest, JobTimedOut
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.job_limits import DEFAULT_LIMITS
from hexfusion.domain.picture_boxes import Size


class Picture:
    """A picture and the infotext to embed in it; None for masks, and grids made by scripts.

    Pictures of a long job lie in a file, which is gone with the last of them.
    """

    __slots__ = ("infotext", "kept")

    def __init__(self, image: Image | KeptPicture, infotext: str | None) -> None:
        self.kept: KeptPicture = InMemory(image) if isinstance(image, Image) else image
        self.infotext = infotext

    @property
    def image(self) -> Image:
        """The picture. It is read each time where it lies in a file; raises `SpoolError`."""
        return self.kept.image()

    @property
    def size(self) -> Size:
        """(width, height) in pixels; nothing is read for it."""
        return self.kept.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Picture):
            return NotImplemented
        return self.infotext == other.infotext and self.image == other.image

    __hash__ = None  # type: ignore[assignment]

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        quality: int = 80,
        lossless: bool = False,
        embed: bool = True,
    ) -> None:
        """Write it to a file atomically, with its infotext.

        The format is by the suffix: .png, .jpg, .jpeg or .webp, in any case. `quality` is 1 to 100,
        for JPEG and WebP, `lossless` for WebP. Without `embed` no text is written. An existing file
        is replaced; the folder must exist.

        Raises `InvalidRequest` naming the argument; `OSError`.
        """
        within("quality", quality, 1, 100)
        path = Path(path)
        format = path.suffix.removeprefix(".")
        try:
            data = encode_picture(self.image, format, self.infotext, quality, embed, lossless)
        except InvalidRequest as error:
            raise InvalidRequest("path", error.message) from error
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Encoding:
    """Encoding of pictures in responses: samples_format, jpeg_quality, enable_pnginfo.

    `most` bounds the bytes of the whole response.
    """

    format: str
    quality: int
    embed: bool
    most: int = DEFAULT_LIMITS.reply


@dataclass(frozen=True)
class Generated:
    """The result of a request. `request` is the request as interpreted.

    A grid comes first if `info.index_of_first_image` is 1. Masks, if options ask for them, follow
    their pictures. After an interrupt there are fewer pictures than requested, perhaps none;
    `infotext` is the first one's in any case. `files` are the paths of all saved files, `saver`
    saves further results made from the pictures.
    """

    pictures: tuple[Picture, ...]
    request: AnyRequest
    info: Info
    job_id: str
    encoding: Encoding
    files: tuple[str, ...] = ()
    infotext: str = ""
    saver: JobFiles | None = None


def in_time(made: Generated, job: Job) -> Generated:
    """What a whole job made. Raises `JobTimedOut` if its time was over before the first picture."""
    if job.timed_out and not made.pictures:
        raise JobTimedOut(job.seconds)
    return made
