"""What every image archive must do. Subclass it where the implementation's tests are."""

import io
import threading

import PIL.Image
import pytest

from application.pictures import read_infotext
from domain.errors import InvalidRequest, NotFound
from domain.options import Options

INFOTEXT = "červený kruh\nSteps: 20, Seed: 1"


def opened(data: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(data))


class ImageArchiveContract:
    """Subclasses give the fixture `archive`, an empty one."""

    @pytest.fixture
    def picture(self):
        ramp = PIL.Image.linear_gradient("L").resize((48, 32))
        return PIL.Image.merge("RGB", (ramp, ramp.rotate(180), ramp))

    @pytest.mark.parametrize(
        ("path", "format"),
        [
            ("outputs/txt2img-images/2026-11-22/00000-1.png", "PNG"),
            ("a.jpg", "JPEG"),
            ("a.JPEG", "JPEG"),
            ("a/b.webp", "WEBP"),
            ("žluťoučký kůň/红.png", "PNG"),
        ],
    )
    def test_a_picture_comes_back_with_its_infotext(self, archive, picture, path, format):
        assert archive.save(picture, path, INFOTEXT, Options()) == path
        image = opened(archive.read(path))
        assert (image.format, image.size) == (format, picture.size)
        assert read_infotext(image) == INFOTEXT

    def test_a_picture_may_have_no_infotext(self, archive, picture):
        archive.save(picture, "a.png", None, Options())
        assert read_infotext(opened(archive.read("a.png"))) is None

    def test_options_are_heeded(self, archive, picture):
        def saved(name, **options):
            return archive.read(archive.save(picture, name, INFOTEXT, Options(options)))

        assert read_infotext(opened(saved("a.png", enable_pnginfo=False))) is None
        assert len(saved("a.jpg", jpeg_quality=10)) < len(saved("a.jpg", jpeg_quality=95))
        lossless = opened(saved("a.webp", webp_lossless=True))
        assert lossless.convert("RGB").tobytes() == picture.tobytes()

    def test_a_picture_takes_the_place_of_the_one_before(self, archive, picture):
        archive.save(picture, "a.png", "first", Options())
        archive.save(picture, "a.png", "second", Options())
        assert read_infotext(opened(archive.read("a.png"))) == "second"

    def test_a_picture_too_large_for_its_format_becomes_a_png(self, archive):
        """Spec prompts.md 9.2 item 1."""
        long = PIL.Image.new("L", (16384, 1))
        assert archive.save(long, "a/b.c.webp", None, Options()) == "a/b.c.png"
        assert opened(archive.read("a/b.c.png")).size == (16384, 1)
        with pytest.raises(NotFound):
            archive.read("a/b.c.webp")

    @pytest.mark.parametrize("path", ["a.gif", "a", "a.png.tmp", ".png"])
    def test_other_formats_are_refused(self, archive, picture, path):
        with pytest.raises(InvalidRequest, match="format"):
            archive.save(picture, path, None, Options())

    @pytest.mark.parametrize(
        "path",
        [
            "",
            ".",
            "/a.png",
            "../a.png",
            "a/../../a.png",
            "a/..\\..\\a.png",
            "\\a.png",
            "C:a.png",
            "\\\\host\\share\\a.png",
            "a\0.png",
        ],
    )
    def test_no_path_leads_out(self, archive, picture, path):
        with pytest.raises(InvalidRequest) as refused:
            archive.save(picture, path, None, Options())
        assert refused.value.field == "path"
        with pytest.raises(InvalidRequest):
            archive.read(path)

    @pytest.mark.parametrize("path", ["a.png", "a/b.png", "b.png/a.png", "folder"])
    def test_what_was_not_saved_is_not_found(self, archive, picture, path):
        archive.save(picture, "b.png", None, Options())
        archive.save(picture, "folder/c.png", None, Options())
        with pytest.raises(NotFound):
            archive.read(path)

    def test_many_may_save_at_once(self, archive, picture):
        def save(number: int) -> None:
            archive.save(picture, f"folder/{number}.png", str(number), Options())
            archive.save(picture, "folder/same.png", str(number), Options())

        threads = [threading.Thread(target=save, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(8):
            image = opened(archive.read(f"folder/{number}.png"))
            assert read_infotext(image) == str(number)
        assert read_infotext(opened(archive.read("folder/same.png"))) in set("01234567")
