"""Term lists in files and in memory."""

import pytest

from hexfusion.adapters.storage.settings.terms_files import FileTerms
from hexfusion.adapters.storage.settings.terms_memory import MemoryTerms
from hexfusion.domain.errors import CheckpointError
from tests.contracts.term_store import TermStoreContract


class TestMemoryTerms(TermStoreContract):
    @pytest.fixture
    def keeping(self):
        return MemoryTerms


class TestFileTerms(TermStoreContract):
    @pytest.fixture
    def keeping(self, tmp_path):
        def keep(texts):
            for name, text in texts.items():
                (tmp_path / f"{name}.txt").write_text(text, "utf-8", newline="")
            return FileTerms(tmp_path)

        return keep


def test_only_text_files_of_the_folder_itself_count(tmp_path):
    (tmp_path / "a.txt").write_text("x", "utf-8-sig")
    (tmp_path / "b.csv").write_text("y")
    (tmp_path / "c.txt").mkdir()
    (tmp_path / "c.txt" / "d.txt").write_text("z")
    assert FileTerms(tmp_path).terms() == {"a": "x"}
    assert FileTerms(tmp_path / "absent").terms() == {}


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"a\.txt"):
        FileTerms(tmp_path).terms()


def test_they_are_read_as_they_are_now(tmp_path):
    store = FileTerms(tmp_path)
    assert store.terms() == {}
    (tmp_path / "a.txt").write_text("x")
    assert store.terms() == {"a": "x"}
