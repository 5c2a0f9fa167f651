"""How many pixels requests may bring, and how many are decoded at once."""

import threading
import time

import pytest
from PIL import Image

from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.adapters.storage.settings.terms_memory import MemoryTerms
from hexfusion.application import from_flags
from hexfusion.application.describing.interrogate import Interrogate
from hexfusion.application.extras.extras import ProcessExtras
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.pixel_budget import PixelBudget
from hexfusion.application.pictures.receiving import Received
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.domain.errors import InvalidRequest, JobCancelled
from hexfusion.domain.extras import ExtrasRequest
from hexfusion.domain.flags import parse_flags
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import Options
from tests.application.worlds import world

PICTURE = Image.new("RGB", (8, 8))
PATIENCE = 10.0


def job() -> Job:
    return Job("img2img", lambda: 0.0)


def test_the_pictures_of_a_request_are_counted_together():
    budget = PixelBudget(request=200)
    assert budget.check([100, 100], "imageList") == 200
    with pytest.raises(InvalidRequest, match=r"^imageList: .* may have 200 pixels, not 201"):
        budget.check([100, 101], "imageList")


def test_flags_set_the_bounds():
    flags = parse_flags(["--request-megapixels", "3"], {}, absolute=str)
    budget = from_flags.pixel_budget(flags)
    budget.check([3_000_000], "image")
    with pytest.raises(InvalidRequest):
        budget.check([3_000_001], "image")
    usual = from_flags.pixel_budget(parse_flags([], {}, absolute=str))
    usual.check([8192 * 8192] * 2, "init_images")  # the largest, and its mask
    with pytest.raises(InvalidRequest):
        usual.check([8192 * 8192] * 3, "init_images")


class Snapshot:
    def snapshot(self) -> Options:
        return Options()


def test_every_use_case_counts():
    small = PixelBudget(request=100)
    extras = ProcessExtras(PlainUpscaler(), Snapshot(), pixels=small)
    with pytest.raises(InvalidRequest, match=r"^imageList: "):
        extras.prepare(ExtrasRequest(), [PICTURE, PICTURE], "imageList")
    words = Interrogate(FakeInterrogator(), MemoryTerms(), Snapshot(), small)
    with pytest.raises(InvalidRequest, match=r"^image: "):
        words.prepare("clip", Image.new("RGB", (16, 8)))
    img2img = world().img2img
    img2img._pixels = small
    pictures = InitPictures([Received(PICTURE, "init_images")], Received(PICTURE, "mask"))
    with pytest.raises(InvalidRequest, match=r"^init_images: "):
        img2img.prepare(Img2Img(), pictures)


def test_a_job_waits_for_the_pixels_of_another():
    budget, order = PixelBudget(decoded=100), []

    def work(pixels: int, name: str) -> None:
        with budget.held(pixels, job()):
            order.append(name)

    threads = [threading.Thread(target=work, args=each) for each in [(50, "large"), (10, "small")]]
    with budget.held(60, job()):
        for number, each in enumerate(threads, 1):
            each.start()
            while len(budget._line) < number:
                time.sleep(0.005)
        order.append("first")  # though there is room for the small one, it does not overtake
    for each in threads:
        each.join(PATIENCE)
    assert order == ["first", "large", "small"]


def test_what_exceeds_the_bound_runs_alone():
    budget = PixelBudget(decoded=100)
    with budget.held(1000, job()):
        pass
    with budget.held(100, job()):
        pass


def test_a_cancelled_job_stops_waiting():
    budget, cancelled = PixelBudget(decoded=100), job()
    cancelled.interrupt()
    with budget.held(100, job()), pytest.raises(JobCancelled), budget.held(1, cancelled):
        pass
    with budget.held(100, job()):  # nothing was held by the cancelled one
        pass


def test_a_job_that_fails_returns_its_share():
    budget = PixelBudget(decoded=100)

    def fail(job: Job) -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            budget.within(100, fail)(job())


def test_what_runs_holds_its_pixels():
    """Seen by another job that has to wait, and is cancelled."""
    budget, cancelled = PixelBudget(decoded=100), job()
    cancelled.interrupt()

    def probe(running: Job) -> str:
        with pytest.raises(JobCancelled), budget.held(60, cancelled):
            pass
        return "probed"

    assert budget.within(50, probe)(job()) == "probed"
