"""A picture that was made becomes a file."""

from pathlib import Path

import pytest
from PIL import Image

from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.application.results import Picture
from hexfusion.domain.errors import InvalidRequest

MADE = Picture(Image.new("RGB", (16, 8), "red"), "a cat\nSteps: 1")


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.png", "PNG"), ("b.jpg", "JPEG"), ("c.jpeg", "JPEG"), ("d.WebP", "WEBP")],
)
def test_the_suffix_says_the_format_and_the_infotext_is_inside(tmp_path: Path, name, format):
    MADE.save(tmp_path / name)
    with Image.open(tmp_path / name) as found:
        assert (found.format, found.size) == (format, (16, 8))
        assert read_infotext(found) == MADE.infotext
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_text_names_a_path_too_and_a_file_that_is_there_is_replaced(tmp_path: Path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"something else")
    MADE.save(str(path))
    with Image.open(path) as found:
        assert found.tobytes() == MADE.image.tobytes()


def test_without_text(tmp_path: Path):
    MADE.save(tmp_path / "bare.png", embed=False)
    with Image.open(tmp_path / "bare.png") as found:
        assert read_infotext(found) is None


def test_quality(tmp_path: Path):
    noisy = Picture(Image.effect_noise((64, 64), 100), None)
    for quality in (10, 95):
        noisy.save(tmp_path / f"{quality}.jpg", quality=quality)
    assert (tmp_path / "95.jpg").stat().st_size > 2 * (tmp_path / "10.jpg").stat().st_size
    noisy.save(tmp_path / "exact.webp", lossless=True)
    with Image.open(tmp_path / "exact.webp") as found:
        assert found.convert("L").tobytes() == noisy.image.tobytes()


@pytest.mark.parametrize(
    ("name", "how", "error"),
    [
        ("a.gif", {}, r"path: Invalid image format 'gif': expected png, jpg, jpeg or webp"),
        ("a", {}, "path: Invalid image format ''"),
        ("a.jpg", {"quality": 0}, "quality: must be from 1 to 100, not 0"),
    ],
)
def test_what_cannot_be_saved_is_named_and_leaves_nothing(tmp_path: Path, name, how, error):
    with pytest.raises(InvalidRequest, match=error):
        MADE.save(tmp_path / name, **how)
    assert not list(tmp_path.iterdir())


def test_too_large_for_the_format(tmp_path: Path):
    with pytest.raises(InvalidRequest, match=r"path: a webp picture has at most 16383 pixels"):
        Picture(Image.new("L", (16384, 1)), None).save(tmp_path / "wide.webp")


def test_no_half_file_is_left(tmp_path: Path):
    """There is a folder where the file is to be: it cannot be replaced."""
    (tmp_path / "taken.png/inside").mkdir(parents=True)
    with pytest.raises(OSError):
        MADE.save(tmp_path / "taken.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]
