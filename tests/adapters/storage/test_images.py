import contextlib
import errno
import os
import tempfile
from pathlib import Path

import pytest

from hexfusion.adapters.storage.results.images_files import FileImages
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.application.ports.images import ArchiveError
from hexfusion.domain.errors import InvalidRequest
from tests.contracts.image_archive import ImageArchiveContract, run_all


class TestMemoryImages(ImageArchiveContract):
    @pytest.fixture
    def owned(self):
        return "/pictures"

    @pytest.fixture
    def archive(self, owned):
        return MemoryImages(owned)


class TestFileImages(ImageArchiveContract):
    @pytest.fixture
    def owned(self, tmp_path):
        return str(tmp_path / "pictures")

    @pytest.fixture
    def archive(self, tmp_path, owned):
        return FileImages(tmp_path / "data", Path(owned))


class TestFileImagesWithoutHardLinks(TestFileImages):
    """As on FAT and some network drives; there only one process may claim names."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def link(source, target):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)

    def test_of_many_who_claim_a_name_one_gets_it(self, archive):
        archive.write("a.png", b"first", replace=False)
        with pytest.raises(FileExistsError):
            archive.write("a.png", b"second", replace=False)
        assert archive.read("a.png") == b"first"


def test_pictures_are_files_below_the_root(tmp_path):
    FileImages(tmp_path).write("a/b.png", b"picture")
    assert (tmp_path / "a" / "b.png").read_bytes() == b"picture"
    assert os.listdir(tmp_path / "a") == ["b.png"]


def test_claimed_names_leave_no_rest(tmp_path):
    archive = FileImages(tmp_path)

    def claim(number: int) -> None:
        with contextlib.suppress(FileExistsError):
            archive.write("a.png", b"", replace=False)

    run_all(claim, 4)
    assert os.listdir(tmp_path) == ["a.png"]
    assert os.stat(tmp_path / "a.png").st_nlink == 1


def test_no_link_is_followed_out_of_the_root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file.png").symlink_to(tmp_path / "outside" / "secret.png")
    archive = FileImages(root)
    for follow in (
        lambda: archive.write("link/a.png", b""),
        lambda: archive.names("link"),
        lambda: archive.probe("link"),
        lambda: archive.read("link/secret.png"),
        lambda: archive.read("file.png"),
    ):
        with pytest.raises(InvalidRequest):
            follow()
    archive.write("file.png", b"")  # replaces the link, not what it points to
    assert os.listdir(tmp_path / "outside") == ["secret.png"]
    assert (tmp_path / "outside" / "secret.png").read_bytes() == b"secret"


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    FileImages(tmp_path / "root").write("a.png", b"")
    assert os.listdir(tmp_path / "disk") == ["a.png"]


def test_an_owned_folder_may_be_a_link_out_of_the_root(tmp_path):
    """People keep `outputs` on a larger disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "outputs").symlink_to(tmp_path / "disk")
    archive = FileImages(tmp_path / "root", Path("outputs/images"))
    archive.probe("outputs/images/2026")
    archive.write("outputs/images/2026/a.png", b"picture")
    assert list(archive.names("outputs/images/2026")) == ["a.png"]
    assert (tmp_path / "disk/images/2026/a.png").read_bytes() == b"picture"
    with pytest.raises(InvalidRequest):
        archive.write("outputs/other/a.png", b"")


@pytest.mark.parametrize("replace", [True, False])
def test_a_failed_write_leaves_the_picture_before_and_no_rest(tmp_path, monkeypatch, replace):
    archive = FileImages(tmp_path)
    archive.write("a.png", b"first")

    def full_disk(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ArchiveError, match=r"a\.png: No space left") as failed:
        archive.write("a.png", b"second", replace=replace)
    assert failed.value.path == str(tmp_path / "a.png")
    assert archive.read("a.png") == b"first"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_folder_that_is_not_writable_is_named(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, f"Permission denied: {dir.name}")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # tests may run as root
    with pytest.raises(ArchiveError, match=f"Permission denied: {tmp_path.name}") as failed:
        FileImages(tmp_path).probe("a/b")
    assert failed.value.path == str(tmp_path / "a/b")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux")
def test_a_folder_that_nobody_can_write_to_is_found_out():
    with pytest.raises(ArchiveError, match=r"/proc/\d+/outputs"):
        FileImages(Path("/proc/self")).probe("outputs")


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path):
    name = "n" * 251 + ".png"
    archive = FileImages(tmp_path)
    archive.write(name, b"", replace=False)
    assert archive.names("") == [name]
    with pytest.raises(InvalidRequest):
        archive.write("n" + name, b"")
