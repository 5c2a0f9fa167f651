"""Long jobs keep their pictures in a spool as they are made; nothing of it is left behind."""

import gc
from pathlib import Path

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.results.spool_files import FileSpool
from hexfusion.adapters.storage.results.spool_memory import MemorySpool
from hexfusion.application.generation import generate
from hexfusion.application.pictures import kept
from hexfusion.application.pictures.kept import InMemory, PictureKeeper, Spooled
from hexfusion.application.ports.spool import SpoolError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.job_limits import JobLimits
from tests.application.scripts.scripted import made, of_picture, of_text
from tests.application.worlds import World, world
from tests.open_files import nameless_files

PICTURE = 64 * 64 * 4
"""Bytes in memory of one picture of these tests."""


def small(**fields) -> Txt2Img:
    return Txt2Img(
        **{"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 1, **fields}
    )


@pytest.fixture
def long(monkeypatch, tmp_path: Path) -> World:
    """Two pictures stay in memory, the others go to files."""
    monkeypatch.setattr(
        generate, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=2 * PICTURE)
    )
    return world(open_spool=lambda: FileSpool(tmp_path))


def descriptors(folder: Path) -> int:
    gc.collect()
    return nameless_files(folder)


def images(result) -> list[bytes]:
    return [each.image.tobytes() for each in result.pictures]


REQUESTS = {
    "batches": small(n_iter=3, batch_size=2),
    "a grid": small(n_iter=5, save_images=True),
    "prompt matrix": of_text("prompt matrix", False, False, "positive", "comma", 0, prompt="a|b|c"),
    "prompts from file": of_text(
        "prompts from file or textbox", True, False, "start", "red\nblue\n--n_iter 3\ngreen"
    ),
    "loopback": of_picture("loopback", 5, 0.5, "Linear", "None"),
    "chains": of_picture("loopback", 2, 0.5, "Linear", "None", n_iter=4),
    "sd upscale": of_picture("sd upscale", None, 16, "None", 2.0, n_iter=3),
    "mk2": of_picture(
        "outpainting mk2", None, 16, 0, ["left", "down"], 1.0, 0.05, n_iter=3, batch_size=2
    ),
    "poor man's": of_picture("poor man's outpainting", 16, 4, "fill", ["left", "down"]),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_what_comes_from_files_is_what_would_come_from_memory(kind, long):
    request = REQUESTS[kind]
    plain, spooled = made(request), made(request, long)
    assert {type(each.kept) for each in plain.pictures} == {InMemory}
    if kind != "poor man's":  # which has a single picture
        assert Spooled in {type(each.kept) for each in spooled.pictures}
    assert images(spooled) == images(plain)
    assert len(set(images(plain))) > 1 or len(plain.pictures) == 1
    assert [each.infotext for each in spooled.pictures] == [
        each.infotext for each in plain.pictures
    ]
    assert spooled.info.infotexts == plain.info.infotexts


def test_the_default_keeps_a_small_job_in_memory():
    assert kept.IN_MEMORY == 4 * 1024 * 1024 * 4


def test_a_script_has_one_file_for_all_of_its_generations(long, tmp_path: Path):
    before = descriptors(tmp_path)
    result = made(REQUESTS["prompts from file"], long)
    assert descriptors(tmp_path) == before + 1
    assert [type(each.kept) for each in result.pictures[:3]] == [InMemory, InMemory, Spooled]


def test_after_a_hundred_jobs_nothing_is_left(long, tmp_path: Path):
    before = descriptors(tmp_path)
    for _ in range(50):
        long.txt2img(small(n_iter=4))
        made(REQUESTS["prompts from file"], long)
    assert descriptors(tmp_path) == before
    assert not list(tmp_path.iterdir())


class Failing(FakeInference):
    """Fails at the fourth batch, or interrupts the job there."""

    def __init__(self, then) -> None:
        super().__init__()
        self._left, self._then = 4, then

    def render(self, plan, observer, sources=None):
        self._left -= 1
        if self._left == 0:
            self._then()
        return super().render(plan, observer, sources)


def fail() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("request_of", [small(n_iter=6), REQUESTS["prompts from file"]])
def test_a_job_that_fails_gives_its_file_up_at_once(request_of, monkeypatch, tmp_path: Path):
    """Even while its error is held, with the frames that made the pictures."""
    monkeypatch.setattr(
        generate, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=PICTURE)
    )
    it = world(Failing(fail), open_spool=lambda: FileSpool(tmp_path))
    before = descriptors(tmp_path)
    with pytest.raises(ZeroDivisionError) as held:
        made(request_of, it)
    assert descriptors(tmp_path) == before
    assert held.value.__traceback__ is not None


def test_an_interrupted_job_keeps_what_it_made(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(
        generate, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=PICTURE)
    )
    backend = Failing(lambda: it.jobs.interrupt())
    it = world(backend, open_spool=lambda: FileSpool(tmp_path))
    before = descriptors(tmp_path)
    result = it.txt2img(small(n_iter=6))
    assert len(result.pictures) == 4
    assert images(result)[:3] == images(world().txt2img(small(n_iter=3)))
    del result
    assert descriptors(tmp_path) == before


def test_a_full_disk_ends_the_job_and_is_told(monkeypatch):
    monkeypatch.setattr(generate, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=0))
    it = world(open_spool=lambda: MemorySpool(room=3 * 64 * 64 * 3))
    assert len(it.txt2img(small(n_iter=3)).pictures) == 3
    with pytest.raises(SpoolError, match=r"No space left on device \(--spool-dir\)"):
        it.txt2img(small(n_iter=4))


def test_the_file_lives_as_long_as_one_of_its_pictures(long, tmp_path: Path):
    before = descriptors(tmp_path)
    last = long.txt2img(small(n_iter=4)).pictures[-1]
    assert descriptors(tmp_path) == before + 1
    assert last.size == (64, 64)
    assert last.image.size == (64, 64)
    del last
    assert descriptors(tmp_path) == before


class TestGrids:
    def test_one_that_is_too_large_is_left_out_and_info_says_so(self, caplog):
        limits = JobLimits(picture_pixels=4 * 64 * 64)
        request = small(n_iter=4, save_images=True)
        with_grid = world(limits=limits).txt2img(request)
        assert (len(with_grid.pictures), with_grid.info.index_of_first_image) == (5, 1)
        limits = JobLimits(picture_pixels=4 * 64 * 64 - 1)
        without = world(limits=limits).txt2img(request)
        assert (len(without.pictures), without.info.index_of_first_image) == (4, 0)
        reason = "a grid of 128x128 is left out: too large (--picture-pixels)"
        assert without.info.comments == [reason]
        assert reason in caplog.text
        assert images(without) == images(with_grid)[1:]

    @pytest.mark.parametrize("kind", ["prompt matrix", "loopback", "mk2"])
    def test_a_scripts_grid_likewise(self, kind, caplog):
        whole = made(REQUESTS[kind])
        size = whole.pictures[0].size
        assert whole.info.index_of_first_image == (1 if kind == "prompt matrix" else 0)
        limits = JobLimits(picture_pixels=size[0] * size[1] - 1)
        without = made(REQUESTS[kind], world(limits=limits))
        assert images(without) == images(whole)[1:]
        assert without.info.index_of_first_image == 0
        assert len(without.info.infotexts) == len(without.pictures)
        (comment,) = without.info.comments
        assert "is left out: too large (--picture-pixels)" in comment
        assert comment in caplog.text
