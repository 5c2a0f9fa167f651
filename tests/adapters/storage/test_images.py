import os

import PIL.Image
import pytest

from adapters.storage.images_files import FileImages
from adapters.storage.images_memory import MemoryImages
from domain.errors import InvalidRequest
from domain.options import Options
from tests.contracts.image_archive import ImageArchiveContract


class TestMemoryImages(ImageArchiveContract):
    @pytest.fixture
    def archive(self):
        return MemoryImages()


class TestFileImages(ImageArchiveContract):
    @pytest.fixture
    def archive(self, tmp_path):
        return FileImages(tmp_path / "outputs")


PICTURE = PIL.Image.new("RGB", (8, 8))


def test_pictures_are_files_below_the_root(tmp_path):
    FileImages(tmp_path).save(PICTURE, "a/b.png", None, Options())
    assert PIL.Image.open(tmp_path / "a" / "b.png").size == (8, 8)
    assert os.listdir(tmp_path / "a") == ["b.png"]


def test_no_link_is_followed_out_of_the_root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file.png").symlink_to(tmp_path / "outside" / "secret.png")
    archive = FileImages(root)
    with pytest.raises(InvalidRequest):
        archive.save(PICTURE, "link/a.png", None, Options())
    for path in ("link/secret.png", "file.png"):
        with pytest.raises(InvalidRequest):
            archive.read(path)
    archive.save(PICTURE, "file.png", None, Options())  # replaces the link, not what it points to
    assert os.listdir(tmp_path / "outside") == ["secret.png"]
    assert (tmp_path / "outside" / "secret.png").read_bytes() == b"secret"


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    FileImages(tmp_path / "root").save(PICTURE, "a.png", None, Options())
    assert os.listdir(tmp_path / "disk") == ["a.png"]


def test_a_failed_write_leaves_the_picture_before_and_no_rest(tmp_path, monkeypatch):
    archive = FileImages(tmp_path)
    archive.save(PICTURE, "a.png", "first", Options())
    before = archive.read("a.png")

    def full_disk(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        archive.save(PICTURE, "a.png", "second", Options())
    assert archive.read("a.png") == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path):
    name = "n" * 251 + ".png"
    assert FileImages(tmp_path).save(PICTURE, name, None, Options()) == name
