"""What generation gives back: pictures with their infotext, and how they are to be sent."""

from dataclasses import dataclass

from PIL.Image import Image

from hexfusion.application.saving.save_images import JobFiles
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest


@dataclass(frozen=True)
class Picture:
    """A picture and the text that lies in it, that makes it again; None for a mask, and for what a
    script put together."""

    image: Image
    infotext: str | None


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
