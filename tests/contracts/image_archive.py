"""What every image archive must do. Subclass it where the implementation's tests are."""

import threading

import pytest

from hexfusion.application.ports.images import ArchiveError
from hexfusion.domain.errors import InvalidRequest, NotFound


class ImageArchiveContract:
    """Subclasses give the fixtures `archive`, an empty one, and `owned`, an absolute folder that
    the archive was told to own."""

    @pytest.mark.parametrize(
        "path",
        ["outputs/txt2img-images/2026-11-22/00000-1.png", "a.txt", "žluťoučký kůň/红.png", "a..b"],
    )
    def test_bytes_come_back(self, archive, path):
        archive.write(path, b"picture")
        assert archive.read(path) == b"picture"

    def test_bytes_take_the_place_of_those_before(self, archive):
        archive.write("a.png", b"first")
        archive.write("a.png", b"2nd")
        assert archive.read("a.png") == b"2nd"

    def test_it_holds_what_can_be_written(self, archive, owned):
        for path in ("", ".", "a", "a/b", owned, f"{owned}/a"):
            assert archive.holds(path), path
        for path in ("/", "/a", "..", "a/../..", f"{owned}-too", "C:\\a", "a\0b", "a" * 300):
            assert not archive.holds(path), path
        assert list(archive.names("")) == []

    def test_unless_told_not_to(self, archive):
        archive.write("a/b.png", b"first", replace=False)
        for path in ("a/b.png", "a"):
            with pytest.raises(FileExistsError):
                archive.write(path, b"second", replace=False)
        assert archive.read("a/b.png") == b"first"
        assert list(archive.names("a")) == ["b.png"]

    def test_of_many_who_claim_a_name_one_gets_it(self, archive):
        claimed = []

        def claim(number: int) -> None:
            try:
                archive.write("folder/same.png", b"%d" % number, replace=False)
            except FileExistsError:
                return
            claimed.append(number)

        run_all(claim, 8)
        (winner,) = claimed
        assert archive.read("folder/same.png") == b"%d" % winner

    def test_many_may_write_at_once(self, archive):
        def write(number: int) -> None:
            archive.write(f"folder/{number}.png", b"%d" % number)
            archive.write("folder/same.png", b"%d" % number)

        run_all(write, 8)
        for number in range(8):
            assert archive.read(f"folder/{number}.png") == b"%d" % number
        assert archive.read("folder/same.png") in {b"%d" % number for number in range(8)}

    def test_a_folder_names_its_files_and_folders(self, archive):
        archive.write("a/1.png", b"")
        archive.write("a/1.txt", b"")
        archive.write("a/b/2.png", b"")
        archive.write("c.png", b"")
        assert sorted(archive.names("a")) == ["1.png", "1.txt", "b"]
        assert sorted(archive.names("")) == ["a", "c.png"]
        for no_folder in ("d", "a/d/e", "c.png", "c.png/d"):
            assert list(archive.names(no_folder)) == []

    @pytest.mark.parametrize(
        "path",
        [
            "/a.png",
            "../a.png",
            "a/../../a.png",
            "a/..\\..\\a.png",
            "\\a.png",
            "C:a.png",
            "\\\\host\\share\\a.png",
            "a\0.png",
            "a\ud800.png",
        ],
    )
    def test_no_path_leads_out(self, archive, path):
        for follow in (
            lambda: archive.write(path, b""),
            lambda: archive.read(path),
            lambda: archive.names(path),
            lambda: archive.probe(path),
        ):
            with pytest.raises(InvalidRequest) as refused:
                follow()
            assert refused.value.field == "path"

    @pytest.mark.parametrize("path", ["a" * 256, "ř" * 128, "a/" * 2100 + "b"])
    def test_a_path_too_long_is_refused(self, archive, path):
        for follow in (lambda: archive.write(path, b""), lambda: archive.probe(path)):
            with pytest.raises(InvalidRequest) as refused:
                follow()
            assert refused.value.field == "path"
        archive.write("a" * 255, b"")

    @pytest.mark.parametrize("path", ["", "."])
    def test_the_root_is_no_file(self, archive, path):
        for follow in (lambda: archive.write(path, b""), lambda: archive.read(path)):
            with pytest.raises(InvalidRequest):
                follow()

    def test_an_owned_folder_goes_by_its_absolute_path(self, archive, owned):
        archive.probe(owned)
        archive.write(f"{owned}/a/b.png", b"picture")
        assert archive.read(f"{owned}/a/b.png") == b"picture"
        assert list(archive.names(owned)) == ["a"]
        for out in (f"{owned}x/b.png", f"{owned}/../b.png"):
            with pytest.raises(InvalidRequest):
                archive.write(out, b"")

    @pytest.mark.parametrize("path", ["a.png", "a/b.png", "b.png/a.png", "folder"])
    def test_what_was_not_written_is_not_found(self, archive, path):
        archive.write("b.png", b"")
        archive.write("folder/c.png", b"")
        with pytest.raises(NotFound):
            archive.read(path)

    def test_a_file_is_no_folder_and_a_folder_no_file(self, archive):
        archive.write("b.png", b"")
        archive.write("folder/c.png", b"")
        for follow in (
            lambda: archive.probe("b.png"),
            lambda: archive.probe("b.png/a/b"),
            lambda: archive.write("b.png/a.png", b""),
            lambda: archive.write("b.png/a.png", b"", replace=False),
            lambda: archive.write("folder", b""),
        ):
            with pytest.raises(ArchiveError, match=r"b\.png|folder"):
                follow()

    def test_probing_leaves_nothing(self, archive):
        archive.write("b.png", b"")
        for folder in ("", "a/b", "."):
            archive.probe(folder)
        assert list(archive.names("")) == ["b.png"]


def run_all(work, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
