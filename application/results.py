"""What generation gives back: pictures with their infotext, and how they are to be sent."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.planning.limits import within
from hexfusion.application.saving.save_images import JobFiles
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest


@dataclass(frozen=True)
class Picture:
    """A picture and the text that lies in it, that makes it again; None for a mask, and for what a
    script put together."""

    image: Image
    infotext: str | None

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        quality: int = 80,
        lossless: bool = False,
        embed: bool = True,
    ) -> None:
        """Write it to a file, with its infotext in it, whole or not at all.

        The format is by the suffix: .png, .jpg, .jpeg or .webp, in any case. `quality` is 1 to 100,
        for JPEG and WebP, `lossless` for WebP. Without `embed` no text is written. A file that is
        there is replaced; its folder has to be there.

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
    """How the options want pictures sent: samples_format, jpeg_quality, enable_pnginfo."""

    format: str
    quality: int
    embed: bool


@dataclass(frozen=True)
class Generated:
    """What a request produced. `request` is the request as it was understood.

    A grid comes first if `info.index_of_first_image` is 1. Masks, where the options ask for them,
    come behind their pictures. After an interrupt there are fewer pictures than asked for, perhaps
    none; `infotext` is the first one's all the same. `files` are the paths of what was saved,
    `saver` saves what else is made of the pictures.
    """

    pictures: tuple[Picture, ...]
    request: AnyRequest
    info: Info
    job_id: str
    encoding: Encoding
    files: tuple[str, ...] = ()
    infotext: str = ""
    saver: JobFiles | None = None
