import json
import os
import stat

import pytest

from hexfusion.adapters.storage.settings.options_file import FileOptions
from hexfusion.domain.options import Options
from tests.contracts.options_store import OptionsStoreContract


class TestFileOptions(OptionsStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        return lambda: FileOptions(tmp_path / "data" / "config.json")

    @pytest.fixture
    def open_limited(self, tmp_path):
        return lambda limit: FileOptions(tmp_path / "data" / "config.json", limit=limit)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.json"


def test_the_file_is_written_as_a1111_writes_it(path):
    """Spec api.md 13.2: JSON, indent 4, non-ASCII raw."""
    FileOptions(path).update({"font": "Šrift", "hide_samplers": ["Euler"], "s_noise": 1.05})
    assert path.read_text("utf-8") == (
        '{\n    "font": "Šrift",\n    "hide_samplers": [\n        "Euler"\n    ],\n'
        '    "s_noise": 1.05\n}'
    )


def test_it_is_saved_even_if_nothing_changed(path):
    """Spec api.md 13.2."""
    FileOptions(path).update({})
    assert json.loads(path.read_bytes()) == {}


def test_opening_writes_nothing(path):
    FileOptions(path)
    assert not path.exists()


def test_what_a1111_wrote_beyond_our_knowledge_stays_in_the_file(path):
    """Spec api.md 13.1."""
    foreign = {
        "their_extension_x": [1, {"a": None}],
        "jpeg_quality": "90",
        "upscaler_for_img2img": None,
    }
    path.write_text(json.dumps(foreign), "utf-8")
    store = FileOptions(path)
    assert store.snapshot().stored == {"jpeg_quality": 90}
    assert store.problems == ()
    store.update({"send_seed": False, "their_extension_x": None})
    assert json.loads(path.read_bytes()) == {**foreign, "send_seed": False}


def test_a_wrong_value_in_the_file_is_reported_and_kept_until_it_is_set(path):
    path.write_text('{"jpeg_quality": "good", "send_seed": false}', "utf-8")
    store = FileOptions(path)
    assert store.snapshot() == Options({"send_seed": False})
    (problem,) = store.problems
    assert "config.json" in problem and "jpeg_quality" in problem and "'good'" in problem
    store.update({"n_rows": 2})
    assert json.loads(path.read_bytes())["jpeg_quality"] == "good"
    store.update({"jpeg_quality": 90})
    assert json.loads(path.read_bytes())["jpeg_quality"] == 90


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"font": "\xff"}', b"[" * 100_000],
    ids=["empty", "cut off", "no object", "no UTF-8", "too deep"],
)
def test_an_unreadable_file_is_kept_aside_and_the_store_starts(path, content, caplog):
    path.write_bytes(content)
    store = FileOptions(path)
    assert store.snapshot() == Options()
    assert "config.json.unreadable-1" in store.problems[0]
    assert store.problems[0] in caplog.text
    store.update({"jpeg_quality": 95})
    assert (path.parent / "config.json.unreadable-1").read_bytes() == content
    assert FileOptions(path).snapshot()["jpeg_quality"] == 95


def test_a_second_unreadable_file_does_not_replace_the_first(path):
    for content in (b"{1", b"{2"):
        path.write_bytes(content)
        FileOptions(path)
    kept = [(path.parent / f"config.json.unreadable-{n}").read_bytes() for n in (1, 2)]
    assert kept == [b"{1", b"{2"]


def test_a_failed_write_leaves_file_and_options_as_they_were(path, monkeypatch):
    store = FileOptions(path)
    store.update({"jpeg_quality": 95})

    def full_disk(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.update({"jpeg_quality": 1})
    assert store.snapshot()["jpeg_quality"] == 95
    assert json.loads(path.read_bytes()) == {"jpeg_quality": 95}
    assert os.listdir(path.parent) == ["config.json"]


def test_a_linked_settings_file_stays_a_link_and_keeps_its_permissions(path, tmp_path):
    real = tmp_path / "elsewhere.json"
    real.write_text("{}")
    real.chmod(0o600)
    path.symlink_to(real)
    FileOptions(path).update({"jpeg_quality": 95})
    assert path.is_symlink()
    assert json.loads(real.read_bytes()) == {"jpeg_quality": 95}
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_foreign_lone_surrogate_does_not_stop_saving(path):
    path.write_text('{"theirs": "\\ud800"}', "utf-8")
    FileOptions(path).update({"jpeg_quality": 95})
    assert json.loads(path.read_bytes()) == {"theirs": "\ud800", "jpeg_quality": 95}


def test_a_byte_order_mark_is_read_over(path):
    path.write_bytes(b'\xef\xbb\xbf{"jpeg_quality": 95}')
    assert FileOptions(path).snapshot()["jpeg_quality"] == 95


def test_what_is_not_admitted_is_reported_and_the_default_holds(path):
    """A file of A1111, or of an earlier version, may hold anything."""
    content = {
        "samples_format": "avif",
        "CLIP_stop_at_last_layers": 0,
        "ESRGAN_tile_overlap": 200,
        "ESRGAN_tile": 512,
        "DAT_tile": 64,
        "DAT_tile_overlap": 60,
        "grid_background_color": "reddish",
        "clip_skip": 7,
        "forge_preset": "xl",
    }
    path.write_text(json.dumps(content))
    store = FileOptions(path)
    assert store.snapshot().stored == {
        "CLIP_stop_at_last_layers": 1,
        "ESRGAN_tile_overlap": 200,  # though it comes before the tile that it goes with
        "ESRGAN_tile": 512,
        "DAT_tile": 64,
    }
    problems = "\n".join(store.problems)
    assert len(store.problems) == 3
    assert "samples_format: must be one of" in problems
    assert "grid_background_color" in problems
    assert "DAT_tile_overlap must be at most 0.75 times DAT_tile" in problems
    store.update({"jpeg_quality": 90})
    kept = json.loads(path.read_text())
    assert kept["samples_format"] == "avif"  # until somebody sets it
    assert kept["forge_preset"] == "xl"
