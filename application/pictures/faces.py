"""Face restoration of a job's pictures. Source: spec images.md 10.2 and 11."""

from collections.abc import Sequence

from PIL.Image import Image

from hexfusion.application.jobs.job import Job
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import ModelUnavailable, NotFound, Unsupported
from hexfusion.domain.faces import FACE_RESTORERS, FaceRestoration


class NoFaceRestorer:
    """A `FaceRestorer` for backends without face restoration: lists nothing, refuses everything."""

    def list(self) -> Sequence[str]:
        """See `FaceRestorer.list`."""
        return ()

    def check(self, model: str) -> None:
        """See `FaceRestorer.check`."""
        if model not in FACE_RESTORERS:
            raise NotFound("face restorer", model)
        raise ModelUnavailable(f"{model} needs a face restorer, which this backend does not have")

    def restore(
        self, picture: Image, how: FaceRestoration, *, seed: int = 0, advance: Advance = go_on
    ) -> Image:
        """See `FaceRestorer.restore`."""
        self.check(how.model)
        return picture


def check_faces(restorer: FaceRestorer, model: str, field: str) -> None:
    """Raises `Unsupported`, naming the request's `field`, if the model's files are missing, and
    `NotFound` for an unknown model.

    A1111 in that case returns the picture unchanged, and reports its faces as restored.
    """
    try:
        restorer.check(model)
    except ModelUnavailable as error:
        raise Unsupported(field, str(error)) from error


def restored(
    restorer: FaceRestorer,
    how: FaceRestoration,
    pictures: Sequence[Image],
    seeds: Sequence[int],
    job: Job,
) -> list[Image]:
    """The pictures with restored faces; after a skip or interrupt the rest stays unchanged.

    `seeds` has one seed per picture.
    """

    def verdict(done: int, of: int) -> Verdict:
        return Verdict.INTERRUPT if stopped() else Verdict.CONTINUE

    def stopped() -> bool:
        return job.skipped or job.cancelled()

    made = []
    for picture, seed in zip(pictures, seeds, strict=True):
        if not stopped():
            picture = restorer.restore(picture, how, seed=seed, advance=verdict)
        made.append(picture)
    return made
