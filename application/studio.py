"""Everything a Python caller needs, in one object and in the caller's terms.

`hexfusion.build` makes one. The HTTP adapter serves the same use-cases, and background jobs, for
which a Python caller can use threads.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from PIL.Image import Image

from hexfusion.application.catalogues.checkpoints import Checkpoints
from hexfusion.application.catalogues.upscalers import ListUpscalers
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.describing.interrogate import KIND as INTERROGATE
from hexfusion.application.describing.interrogate import Interrogate
from hexfusion.application.describing.picture_info import PictureInfo, ReadPictureInfo
from hexfusion.application.extras.extras import KIND as EXTRAS
from hexfusion.application.extras.extras import Extras, ProcessExtras
from hexfusion.application.generation.img2img import GenerateImg2Img
from hexfusion.application.generation.txt2img import GenerateTxt2Img
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.job import Clock, Job
from hexfusion.application.jobs.progress import ProgressReport, ReadProgress
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.pictures.base64_pictures import Fetch, picture_bytes
from hexfusion.application.pictures.receiving import Received, Sent, receive_all
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.results import Generated, Picture
from hexfusion.application.system.options import ChangeOptions, JsonOption, ReadOptions
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.extra_networks import Lora
from hexfusion.domain.extras import ExtrasRequest
from hexfusion.domain.field_types import check_fields
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS
from hexfusion.domain.upscalers import UpscalerModel
from hexfusion.domain.vaes import VaeFile

AnyPicture = Picture | Image | bytes | str
"""A `Picture` of a result, a PIL image, the bytes of a picture file, or text as HTTP clients send:
base64, a data URI, an http(s) address."""

T = TypeVar("T")


class Studio:
    """Generates, postprocesses and interrogates pictures. Safe to call from many threads.

    Methods that generate block until they are done; other threads can read `progress` and stop the
    job meanwhile. `--slots` jobs run at once and others wait; more than `--queue` waiting jobs
    raise `QueueFull`. All expected errors are `HexfusionError`s.

    `id` names a job: a request's `force_task_id`, or the `id` of a call. Without it the job that
    has been running longest is meant.
    """

    def __init__(
        self,
        *,
        txt2img: GenerateTxt2Img,
        img2img: GenerateImg2Img,
        extras: ProcessExtras,
        interrogate: Interrogate,
        picture_info: ReadPictureInfo,
        fetch: Fetch,
        jobs: JobQueue,
        progress: ReadProgress,
        read_options: ReadOptions,
        change_options: ChangeOptions,
        checkpoints: Checkpoints,
        vaes: Vaes,
        networks: NetworkCatalog,
        upscalers: ListUpscalers,
        clock: Clock,
    ) -> None:
        self._txt2img = txt2img
        self._img2img = img2img
        self._extras = extras
        self._interrogate = interrogate
        self._picture_info = picture_info
        self._fetch = fetch
        self._jobs = jobs
        self._progress = progress
        self._read_options = read_options
        self._change_options = change_options
        self._checkpoints = checkpoints
        self._vaes = vaes
        self._networks = networks
        self._upscalers = upscalers
        self._clock = clock

    def txt2img(self, request: Txt2Img, *, lists: PictureLists = NO_LISTS) -> Generated:
        """Generate pictures from a prompt. `lists` sets values for each picture.

        Raises `InvalidRequest`, `NotFound`, `Unsupported`, `OptionError` for an invalid request;
        `QueueFull`, `JobCancelled`; `ModelUnavailable`, `CheckpointError`, `OutOfMemory`,
        `NotANumber`; `ArchiveError` if pictures cannot be saved.
        """
        return self._txt2img(request, lists=lists)

    def img2img(
        self,
        request: Img2Img,
        pictures: AnyPicture | Sequence[AnyPicture] | None = None,
        mask: AnyPicture | None = None,
        *,
        lists: PictureLists = NO_LISTS,
    ) -> Generated:
        """Generate pictures from `pictures`, or from the request's `init_images` and `mask`.

        A single picture is used for the whole batch. White parts of `mask` are repainted. Raises as
        `txt2img`.
        """
        check_fields(request, Img2Img)
        if pictures is None:
            pictures = request.init_images or []
        images = self._all_sent(pictures, "init_images")
        if not images:
            raise InvalidRequest("init_images", "must hold a picture to start from")
        mask = request.mask if mask is None else mask
        start = InitPictures(
            receive_all(images, "init_images"),
            None if mask is None else Received(self._sent(mask, "mask"), "mask"),
        )
        return self._img2img(request, start, lists=lists)

    def extras(
        self,
        request: ExtrasRequest,
        pictures: AnyPicture | Sequence[AnyPicture],
        *,
        id: str | None = None,
    ) -> Extras:
        """Upscale pictures and restore faces. `id` names the job.

        Raises as `txt2img`. After an interrupt there are fewer pictures than were given.
        """
        sent = self._all_sent(pictures, "pictures")
        return self._do(EXTRAS, self._extras.prepare(request, sent, "pictures"), id)

    def interrogate(
        self, picture: AnyPicture, model: str = "clip", *, id: str | None = None
    ) -> str:
        """Describe a picture: "clip" gives a caption and fitting terms, "deepdanbooru" tags.

        With "clip" the text ends in `<error>` if something failed. Raises `NotFound("model", ...)`,
        `InvalidRequest`; `ModelUnavailable`, `CheckpointError`.
        """
        sent = self._sent(picture, "picture")
        return self._do(INTERROGATE, self._interrogate.prepare(model, sent), id)

    def picture_info(self, picture: AnyPicture) -> PictureInfo:
        """A picture's infotext, as text and parsed."""
        return self._picture_info(self._sent(picture, "picture"))

    def progress(self, id: str | None = None, *, picture: bool = True) -> ProgressReport:
        """The progress of a job, with the latest preview if `picture`; 0 while nothing runs.

        Raises `NotFound` for the id of no waiting or running job.
        """
        return self._progress(id, picture=picture)

    def interrupt(self, id: str | None = None) -> None:
        """Stop a job after the current step; it returns the pictures so far.

        Does nothing while no job runs. Raises `NotFound` for an unknown id.
        """
        self._jobs.interrupt(id)

    def skip(self, id: str | None = None) -> None:
        """Stop a job's current batch after the current step, and go on with the next.

        Raises as `interrupt`.
        """
        self._jobs.skip(id)

    def cancel(self, id: str) -> None:
        """Cancel a job: a waiting one raises `JobCancelled`, a running one is interrupted.

        Raises `NotFound`.
        """
        self._jobs.cancel(self._jobs.find(id))

    def options(self) -> Mapping[str, JsonOption]:
        """The current values of all options by name."""
        return self._read_options()

    def set_options(self, changes: Mapping[str, object]) -> None:
        """Change options for all later jobs, all of these or none, and save them.

        A new checkpoint or VAE is loaded first. Raises `NotFound` for an unknown checkpoint,
        `OptionError` naming an option that is unknown, frozen or of a wrong type, and as
        `load_checkpoint`.
        """
        if not isinstance(changes, Mapping):
            raise InvalidRequest("changes", f"must be a dict by option, not {changes!r}")
        self._change_options(changes)

    def checkpoints(self) -> Sequence[Checkpoint]:
        """All checkpoints; option `sd_model_checkpoint` takes their titles."""
        return self._checkpoints.list()

    def refresh(self) -> None:
        """Read the folders of checkpoints, VAEs, LoRAs and embeddings again."""
        self._checkpoints.refresh()
        self._vaes.refresh()
        self._networks.refresh_loras()
        self._networks.refresh_embeddings()

    def load_checkpoint(self) -> Checkpoint:
        """Load the chosen checkpoint now rather than with the first job.

        Raises `ModelUnavailable`, `CheckpointError`, `OutOfMemory`.
        """
        return self._checkpoints.load()

    def unload_checkpoint(self) -> None:
        """Free the checkpoints' memory; the next job loads what it needs."""
        self._checkpoints.unload()

    def vaes(self) -> Sequence[VaeFile]:
        """All VAE files; option `sd_vae` takes their names."""
        return self._vaes.list()

    def loras(self) -> Sequence[Lora]:
        """All LoRAs, for `<lora:name:1>` in a prompt."""
        return self._networks.loras()

    def upscalers(self) -> Sequence[UpscalerModel]:
        """All upscalers that can be used now."""
        return self._upscalers()

    def samplers(self) -> Sequence[str]:
        """The samplers' names."""
        return [sampler.name for sampler in SAMPLERS]

    def schedulers(self) -> Sequence[str]:
        """The noise schedules' names."""
        return [scheduler.label for scheduler in SCHEDULERS]

    def _do(self, kind: str, work: Callable[[Job], T], id: str | None) -> T:
        with self._jobs.admit(Job(kind, self._clock, id)) as job:
            return work(job)

    def _all_sent(self, pictures: AnyPicture | Sequence[AnyPicture], field: str) -> Sequence[Sent]:
        if isinstance(pictures, list | tuple):
            return [self._sent(each, field) for each in pictures]
        return [self._sent(pictures, field)]

    def _sent(self, picture: object, field: str) -> Sent:
        match picture:
            case Picture(image=image, infotext=infotext):
                if infotext is not None and "parameters" not in image.info:
                    image = image.copy()
                    image.info["parameters"] = infotext
                return image
            case Image() | bytes():
                return picture
            case str():
                return picture_bytes(picture, field, self._fetch)
        expected = "a picture: one of PIL's, the bytes of a picture file, or base64 text"
        raise InvalidRequest(field, f"must be {expected}, not {type(picture).__name__}")
