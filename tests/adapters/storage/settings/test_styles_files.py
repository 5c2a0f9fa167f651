"""Styles files (spec prompts.md 4.2)."""

import pytest

from hexfusion.adapters.storage.settings.styles_files import FileStyles
from hexfusion.adapters.storage.settings.styles_memory import MemoryStyles
from hexfusion.domain.prompts import Style, format_styles
from tests.contracts.style_store import StyleStoreContract


class TestFileStyles(StyleStoreContract):
    @pytest.fixture
    def open_styles(self, tmp_path):
        def open_(styles):
            path = tmp_path / "styles.csv"
            path.write_bytes(format_styles(styles).encode("utf-8-sig"))
            return FileStyles([path])

        return open_


class TestMemoryStyles(StyleStoreContract):
    @pytest.fixture
    def open_styles(self):
        return MemoryStyles


def write(path, *names):
    path.write_text(format_styles([Style(name, name, "") for name in names]), "utf-8")
    return path


def test_an_absent_file_is_no_error(tmp_path):
    assert list(FileStyles([tmp_path / "none.csv"]).styles()) == []


def test_several_files_are_divided(tmp_path):
    files = [write(tmp_path / "a.csv", "x"), write(tmp_path / "b.csv", "y")]
    names = [style.name for style in FileStyles(files).styles()]
    assert names == [" A ".center(40, "-"), "x", " B ".center(40, "-"), "y"]


def test_a_pattern_names_all_that_match(tmp_path):
    write(tmp_path / "one.csv", "x")
    write(tmp_path / "two.csv", "y")
    names = [style.name for style in FileStyles([tmp_path / "*.csv"]).styles()]
    assert ("x" in names, "y" in names) == (True, True)


def test_a_broken_file_is_reported_and_the_others_count(tmp_path, caplog):
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"\xff\xfe\x00bad")
    styles = FileStyles([broken, write(tmp_path / "good.csv", "x")]).styles()
    assert "x" in [style.name for style in styles]
    assert "broken.csv" in caplog.text
