"""Use-case: enlarge and mend pictures (spec images.md 10, api.md 12.1)."""

import io

import pytest
from PIL import Image

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.adapters.storage.results.spool_memory import MemorySpool
from hexfusion.application.extras import extras
from hexfusion.application.extras.extras import ProcessExtras
from hexfusion.application.extras.upscale_step import Enlarged
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.pictures.kept import PictureKeeper, Spooled
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.ports.spool import SpoolError
from hexfusion.domain.errors import InvalidRequest, JobCancelled, JobTimedOut, NotFound, Unsupported
from hexfusion.domain.extras import ExtrasRequest
from hexfusion.domain.faces import FaceRestoration
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options
from tests.contracts.upscaler import photo


def png(image=None):
    file = io.BytesIO()
    (image or photo()).save(file, "PNG")
    return file.getvalue()


FACE = photo(64, 48)
"""The fake sees a face in it."""


class Counting(PlainUpscaler):
    """Remembers what it was asked; `on_upscale` happens during the work."""

    def __init__(self):
        self.asked = []
        self.on_upscale = lambda advance: None

    def upscale(self, picture, factor, name, settings, *advance):
        self.asked.append((name, factor))
        for each in advance:
            self.on_upscale(each)
        return super().upscale(picture, factor, name, settings)


class World:
    def __init__(self, faces=None, limits=DEFAULT_LIMITS, open_spool=None, **options):
        self.options = Options(options)
        self.upscaler = Counting()
        self.jobs = JobQueue(lambda: 0.0)
        self.extras = ProcessExtras(
            self.upscaler,
            self,
            faces or FakeFaceRestorer(),
            limits=limits,
            open_spool=open_spool,
        )
        self.job = None

    def snapshot(self):
        return self.options

    def __call__(self, *pictures, **fields):
        make = self.extras.prepare(ExtrasRequest(**fields), pictures or [png()])
        self.job = Job("extras", lambda: 0.0)
        with self.jobs.admit(self.job) as job:
            return make(job)


def test_both_upscalers_are_blended():
    """Spec images.md 10.1."""
    it = World()
    one = it(upscaler_1="Lanczos").pictures[0].image
    two = it(upscaler_1="Nearest").pictures[0].image
    mixed = it(upscaler_1="Lanczos", upscaler_2="Nearest", extras_upscaler_2_visibility=0.25)
    assert mixed.pictures[0].image.tobytes() == Image.blend(one, two, 0.25).tobytes()
    assert mixed.html_info == (
        "<p>Postprocess upscale by: 2, Postprocess upscaler: Lanczos, "
        "Postprocess upscaler 2: Nearest</p>"
    )


def test_a_second_upscaler_that_is_not_seen_is_not_used():
    it = World()
    result = it(upscaler_1="Lanczos", upscaler_2="Nearest")
    assert it.upscaler.asked == [("Lanczos", 2.0)]
    assert "upscaler 2" not in result.html_info


def test_without_a_first_upscaler_nothing_is_done():
    """Not even the second one's name is looked at."""
    it = World()
    result = it(upscaler_2="Nope", extras_upscaler_2_visibility=1.0)
    assert (it.upscaler.asked, result.html_info) == ([], "<p></p>")
    assert result.pictures[0].image.tobytes() == photo().tobytes()


@pytest.mark.parametrize(
    "fields", [{"upscaler_1": "Nope"}, {"upscaler_1": "Lanczos", "upscaler_2": "Nope"}]
)
def test_an_unknown_upscaler(fields):
    """Spec api.md 12.1: the second even if it is not seen."""
    with pytest.raises(NotFound) as caught:
        World()(**fields)
    assert (caught.value.kind, caught.value.name) == ("upscaler", "Nope")


def test_alpha_stays_with_what_has_no_network_and_goes_with_a_crop():
    """Spec images.md 10.3."""
    picture = png(photo(mode="RGBA"))
    assert World()(picture, upscaler_1="Lanczos").pictures[0].image.mode == "RGBA"
    to_size = {"resize_mode": 1, "upscaling_resize_w": 64, "upscaling_resize_h": 64}
    cropped = World()(picture, upscaler_1="Lanczos", **to_size).pictures[0].image
    assert (cropped.mode, cropped.size) == ("RGB", (64, 64))


def test_a_crop_may_leave_black_bars():
    """40x24 to 30x24 is enlarged by 1, which the crop cuts; 24 to 20 leaves what was there."""
    to_size = {"resize_mode": 1, "upscaling_resize_w": 33, "upscaling_resize_h": 20}
    made = World()(png(Image.new("RGB", (40, 24), "white")), upscaler_1="None", **to_size)
    assert made.pictures[0].image.size == (40, 24)  # None does nothing at all
    made = World()(png(Image.new("RGB", (40, 24), "white")), upscaler_1="Nearest", **to_size)
    # Enlarged to (32, 16), and put at (16 - 16, 10 - 8).
    assert made.pictures[0].image.size == (33, 20)
    assert made.pictures[0].image.getbbox() == (0, 2, 32, 18)


def test_steps_go_as_the_options_say():
    fields = {"upscaler_1": "Lanczos", "codeformer_visibility": 1.0, "codeformer_weight": 0.12345}
    usual = World()(**fields)
    assert usual.html_info == (
        "<p>Postprocess upscale by: 2, Postprocess upscaler: Lanczos, "
        "CodeFormer visibility: 1.0, CodeFormer weight: 0.123</p>"
    )
    other = World(postprocessing_operation_order=["CodeFormer"])(**fields)
    assert other.html_info.startswith("<p>CodeFormer visibility: 1.0, CodeFormer weight: 0.123, P")
    without = World(postprocessing_disable_in_extras=["Upscale"])(png(FACE), **fields)
    assert without.html_info == "<p>CodeFormer visibility: 1.0, CodeFormer weight: 0.123</p>"
    how = FaceRestoration(model="CodeFormer", weight=0.12345)
    assert without.pictures[0].image.tobytes() == FakeFaceRestorer().restore(FACE, how).tobytes()


def test_mended_faces_may_be_seen_in_part():
    """Spec images.md 10.2."""
    made = World()(png(FACE), gfpgan_visibility=0.25)
    mended = FakeFaceRestorer().restore(FACE, FaceRestoration(model="GFPGAN"))
    expected = Image.blend(FACE, mended, 0.25)
    assert made.pictures[0].image.tobytes() == expected.tobytes() != FACE.tobytes()
    assert made.html_info == "<p>GFPGAN visibility: 0.25</p>"


def test_codeformers_weight_is_the_requests_and_not_the_options():
    """Spec images.md 11, step 4."""
    made = World(code_former_weight=0.0)(
        png(FACE), codeformer_visibility=1.0, codeformer_weight=1.0
    )
    assert made.pictures[0].image.tobytes() == FACE.tobytes()  # the fake's at 1


def test_pictures_without_colour_or_with_alpha_have_faces_too():
    """A1111 fails on these at a visibility below 1 (spec images.md 10.2)."""
    for mode in ("RGBA", "L", "P"):
        made = World()(png(FACE.convert(mode)), gfpgan_visibility=0.5)
        assert made.pictures[0].image.mode == "RGB"


def test_networks_are_unloaded_if_an_option_says_so():
    heard = []

    class Listening(FakeFaceRestorer):
        def restore(self, picture, how, **rest):
            heard.append((how.model, how.unload))
            return super().restore(picture, how, **rest)

    for unload in (False, True):
        World(Listening(), face_restoration_unload=unload)(
            gfpgan_visibility=1.0, codeformer_visibility=1.0
        )
    assert heard == [
        ("GFPGAN", False), ("CodeFormer", False), ("GFPGAN", True), ("CodeFormer", True)
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["gfpgan_visibility", "codeformer_visibility"])
def test_a_missing_face_restorer_says_so(field):
    """A1111 answers with the picture as it was, and says that it was mended (recordings
    rest/ex_gfpgan, rest/ex_codeformer)."""
    without = FakeFaceRestorer(())
    with pytest.raises(Unsupported, match="needs a file") as caught:
        World(without)(**{field: 0.5})
    assert caught.value.field == field
    assert World(without)(**{field: 0.0}).html_info == "<p></p>"


def test_without_embedding_there_is_no_text():
    """Spec images.md 10.3."""
    assert World()(upscaler_1="Lanczos").pictures[0].image.info == {
        "postprocessing": "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"
    }
    it = World(enable_pnginfo=False)(upscaler_1="Lanczos")
    assert it.pictures[0].image.info == {}
    assert not it.encoding.embed


class TestCache:
    """Spec images.md 10.1: upscaling_max_images_in_cache."""

    def test_another_crop_of_the_same_is_at_hand(self):
        it = World()
        size = {"resize_mode": 1, "upscaling_resize_w": 64, "upscaling_resize_h": 64}
        whole = it(upscaler_1="Lanczos", upscaling_crop=False, **size).pictures[0].image
        crop = it(upscaler_1="Lanczos", upscaling_crop=True, **size).pictures[0].image
        assert len(it.upscaler.asked) == 1
        left = 32 - whole.width // 2
        assert (
            crop.crop((0, 0, 64, 64)).tobytes() == whole.crop((-left, 0, 64 - left, 64)).tobytes()
        )

    def test_anything_else_is_made(self):
        it = World()
        it(upscaler_1="Lanczos")
        it(upscaler_1="Nearest")
        it(upscaler_1="Lanczos", upscaling_resize=3.0)
        it(png(photo(48, 24)), upscaler_1="Lanczos")
        it(png(photo(mode="RGBA")), upscaler_1="Lanczos")
        assert len(it.upscaler.asked) == 5

    def test_the_ones_used_longest_ago_go(self):
        it = World(upscaling_max_images_in_cache=2)
        for name in ("Lanczos", "Nearest", "Lanczos"):
            it(upscaler_1=name)
        it(upscaler_1="Lanczos", upscaling_resize=3.0)  # Nearest goes
        it.upscaler.asked.clear()
        it(upscaler_1="Lanczos")
        it(upscaler_1="Nearest")
        assert it.upscaler.asked == [("Nearest", 2.0)]

    def test_their_bytes_are_counted(self):
        """80x48 takes 15 KiB: of two, one is kept where 20 may be."""
        it = World()
        cache = Enlarged(20 * 1024)
        it.extras = ProcessExtras(it.upscaler, it, FakeFaceRestorer(), cache=cache)
        for name in ("Lanczos", "Nearest"):
            it(upscaler_1=name)
            assert cache.bytes == 80 * 48 * 4
        it.upscaler.asked.clear()
        it(upscaler_1="Nearest")
        assert it.upscaler.asked == []
        it(upscaler_1="Lanczos")
        assert it.upscaler.asked == [("Lanczos", 2.0)]
        it(upscaler_1="Lanczos", upscaling_resize=3.0)  # larger than all may be
        assert cache.bytes == 80 * 48 * 4

    def test_none_may_be_kept(self):
        it = World(upscaling_max_images_in_cache=0)
        it(upscaler_1="Lanczos")
        it(upscaler_1="Lanczos")
        assert len(it.upscaler.asked) == 2

    def test_what_was_stopped_is_not_kept(self):
        it = World()
        it.upscaler.on_upscale = lambda advance: (it.job.interrupt(), advance(1, 4))
        it(upscaler_1="Lanczos")
        it.upscaler.on_upscale = lambda advance: None
        it(upscaler_1="Lanczos")
        assert len(it.upscaler.asked) == 2


class TestStopping:
    """Spec api.md 11.3."""

    def test_an_interrupt_is_heeded_before_the_next_picture(self):
        it = World()
        it.upscaler.on_upscale = lambda advance: it.job.interrupt()
        result = it(png(), png(photo(48, 24)), upscaler_1="Lanczos")
        assert [each.image.size for each in result.pictures] == [(80, 48)]

    def test_a_skip_drops_the_picture_in_hand(self):
        it = World()
        it.upscaler.on_upscale = lambda advance: it.job.skip() if len(it.upscaler.asked) == 1 else 0
        result = it(png(), png(photo(48, 24)), upscaler_1="Lanczos")
        assert [each.image.size for each in result.pictures] == [(96, 48)]

    def test_a_skip_of_the_only_picture_leaves_nothing_to_answer(self):
        it = World()
        it.upscaler.on_upscale = lambda advance: it.job.skip()
        with pytest.raises(JobCancelled):
            it(upscaler_1="Lanczos")


def test_progress_is_told_tile_by_tile():
    """Spec images.md 10.3, except that A1111 counts a picture as done when it begins."""
    it = World()
    seen = []

    def look(advance):
        for done in (1, 2):
            advance(done, 4)
            seen.append((it.job.text, it.job.progress.units_done, it.job.progress.share_done()))

    it.upscaler.on_upscale = look
    it(png(), png(photo(48, 24)), upscaler_1="Lanczos")
    assert seen == [
        ("Upscale", 0, 0.0),
        ("Upscale", 0, 0.125),
        ("Upscale", 1, 0.5),
        ("Upscale", 1, 0.625),
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"upscaling_resize": 5000.0}, "upscaling_resize"),
        ({"resize_mode": 1, "upscaling_resize_w": 10**6}, "upscaling_resize_w"),
    ],
)
def test_no_picture_becomes_too_large(fields, field):
    """A1111 takes all the memory there is."""
    with pytest.raises(InvalidRequest) as caught:
        World()(upscaler_1="Lanczos", **fields)
    assert caught.value.field == field


class TestLimits:
    """Of one job: each holds to the last picture, pixel and byte."""

    SIZES = ((40, 24), (48, 24))
    PIXELS = 4 * (40 * 24 + 48 * 24)

    @pytest.mark.parametrize(
        ("name", "most", "field"),
        [
            ("pictures", 2, "image"),
            ("pixels", PIXELS, "upscaling_resize"),
            ("picture_pixels", 96 * 48, "upscaling_resize"),
            ("reply", PIXELS * 4 + 2 * 2048, "upscaling_resize"),
        ],
    )
    def test_each_is_a_bound(self, name, most, field):
        pictures = [png(photo(*size)) for size in self.SIZES]
        made = World(limits=JobLimits(**{name: most}))(*pictures, upscaler_1="Lanczos")
        assert [each.size for each in made.pictures] == [(80, 48), (96, 48)]
        it = World(limits=JobLimits(**{name: most - 1}))
        with pytest.raises(InvalidRequest, match=r"\(--") as refused:
            it(*pictures, upscaler_1="Lanczos")
        assert refused.value.field == field
        assert not it.upscaler.asked

    def test_a_crop_counts_as_it_comes_out(self):
        fields = {"resize_mode": 1, "upscaling_resize_w": 100, "upscaling_resize_h": 10}
        largest = 96 * 56  # of 40x24, before it is cropped to 100x10
        picture = png(photo(40, 24))
        World(limits=JobLimits(picture_pixels=largest))(picture, upscaler_1="Lanczos", **fields)
        with pytest.raises(InvalidRequest) as refused:
            World(limits=JobLimits(picture_pixels=largest - 1))(
                picture, upscaler_1="Lanczos", **fields
            )
        assert refused.value.field == "upscaling_resize_w"

    def test_what_is_not_enlarged_counts_too(self):
        fields = {"gfpgan_visibility": 1}
        World(limits=JobLimits(pixels=64 * 48))(png(FACE), **fields)
        with pytest.raises(InvalidRequest, match="--job-pixels"):
            World(limits=JobLimits(pixels=64 * 48 - 1))(png(FACE), **fields)

    def test_results_go_to_a_spool_with_their_texts(self, monkeypatch):
        monkeypatch.setattr(extras, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=0))
        plain, spooled = World(), World(open_spool=MemorySpool)
        pictures = [png(photo(*size)) for size in self.SIZES]
        before, after = (it(*pictures, upscaler_1="Lanczos").pictures for it in (plain, spooled))
        assert {type(each.kept) for each in after} == {Spooled}
        for one, other in zip(before, after, strict=True):
            assert one.image.tobytes() == other.image.tobytes()
            assert one.image.info == other.image.info
            assert "postprocessing" in other.image.info

    def test_a_job_that_fails_gives_its_spool_up(self, monkeypatch):
        monkeypatch.setattr(extras, "PictureKeeper", lambda spool: PictureKeeper(spool, memory=0))
        opened = []
        it = World(open_spool=lambda: opened.append(MemorySpool()) or opened[0])

        def fail(advance):
            if len(it.upscaler.asked) == 2:
                raise ZeroDivisionError

        it.upscaler.on_upscale = fail
        with pytest.raises(ZeroDivisionError):
            it(png(), png(photo(48, 24)), upscaler_1="Lanczos")
        with pytest.raises(SpoolError):
            opened[0].read(0, 1)

    def test_time_that_is_over_before_the_first_is_done(self):
        it = World()

        def late(advance):
            it.job.timed_out, it.job.skipped = True, True
            it.job.seconds = 60

        it.upscaler.on_upscale = late
        with pytest.raises(JobTimedOut, match="60 seconds"):
            it(upscaler_1="Lanczos")


def test_a_batch_without_pictures():
    it = World()
    make = it.extras.prepare(ExtrasRequest(upscaler_1="Lanczos"), [])
    result = make(Job("extras", lambda: 0.0))
    assert (result.pictures, result.html_info) == ((), "<p></p>")


def test_what_is_no_picture_is_refused_before_the_queue():
    with pytest.raises(InvalidRequest) as caught:
        World().extras.prepare(ExtrasRequest(), [png(), b"?"], "imageList")
    assert caught.value.field == "imageList"


def test_a_damaged_picture_is_told_of_when_its_turn_comes():
    it = World()
    make = it.extras.prepare(ExtrasRequest(), [png()[:-40]], "image")
    with pytest.raises(InvalidRequest, match=r"^image: Invalid encoded image"):
        make(Job("extras", lambda: 0.0))


def test_many_small_pictures_do_not_become_too_large_together():
    """Each of them would be as large as one may be."""
    it, fields = World(), {"resize_mode": 1, "upscaler_1": "Nearest"}
    fields |= {"upscaling_resize_w": 8192, "upscaling_resize_h": 8192}
    with pytest.raises(InvalidRequest) as caught:
        it(*[png()] * 17, **fields)
    assert caught.value.field == "upscaling_resize_w"
    assert it.upscaler.asked == []
