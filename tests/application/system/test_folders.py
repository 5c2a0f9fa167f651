"""Options that name folders and files (ADR 6, 23)."""

import logging
import os
from pathlib import Path

import pytest

from hexfusion.adapters.storage.from_flags import file_options, image_archive
from hexfusion.adapters.storage.results.images_files import FileImages
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.system.folders import OUTPUT_FOLDERS, check_folders
from hexfusion.application.system.options import ChangeOptions
from hexfusion.domain.errors import OptionError
from hexfusion.domain.flags import parse_flags
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import REGISTRY, Options
from tests.application.worlds import world

PATHS = [key for key, option in REGISTRY.items() if option.is_path]
OUTSIDE = ["/elsewhere", "/", "//x", "../x", "a/../../x", "..", "..\\x", "C:\\x", "\\\\host\\share"]
INSIDE = ["", ".", "outputs/mine", "a/./b", "OUTPUTS/Mine", "...", "žluťoučký kůň"]


def test_which_options_are_meant():
    assert {key for key in REGISTRY if key.startswith("outdir_")} < set(PATHS)
    assert {"font", "temp_dir"} < set(PATHS)
    assert len(OUTPUT_FOLDERS) == 5  # those that are written to


def changer(store, archive):
    return ChangeOptions(
        store,
        find_checkpoint=lambda name: None,
        check=lambda changed, present: check_folders(archive, changed, present),
    )


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize("path", OUTSIDE)
def test_what_lies_outside_is_refused_when_it_is_set_and_as_override(key, path):
    store, it = MemoryOptions(), world()
    with pytest.raises(OptionError) as refused:
        changer(store, MemoryImages())({"jpeg_quality": 90, key: path})
    assert refused.value.key == key
    assert store.snapshot() == Options()
    with pytest.raises(OptionError) as refused:
        it.txt2img(Txt2Img(steps=1, width=64, height=64, override_settings={key: path}))
    assert refused.value.key == key


@pytest.mark.parametrize("path", INSIDE)
def test_what_lies_inside_is_stored(path):
    store = MemoryOptions()
    changer(store, MemoryImages())({"outdir_txt2img_samples": path})
    assert store.snapshot().text("outdir_txt2img_samples") == path


def test_what_the_operator_named_may_be_sent_back_and_gone_into():
    store = MemoryOptions()
    store.update({"outdir_grids": "/pictures/grids", "outdir_save": "/home/me"})
    change = changer(store, MemoryImages("/pictures"))
    change({"outdir_save": "/home/me", "outdir_txt2img_samples": "/pictures/a", "send_seed": False})
    assert store.snapshot()["outdir_txt2img_samples"] == "/pictures/a"
    with pytest.raises(OptionError, match="outdir_txt2img_samples: '/home/me/a' is outside"):
        change({"outdir_txt2img_samples": "/home/me/a"})


def test_links_are_followed_before_it_is_asked(tmp_path):
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    (data / "inner").mkdir()
    os.symlink(other, data / "out")
    os.symlink(data / "inner", data / "in")
    os.symlink("loop", data / "loop")
    archive = FileImages(data)
    for path, held in (
        ("out", False),
        ("out/a", False),
        (str(data / "out"), False),
        ("in/a", True),
        (str(data), True),
        (str(data / "inner/x"), True),
        (str(data) + "-too", False),
        ("", True),
    ):
        assert archive.holds(path) is held, path
    archive.holds("loop/a")  # whatever it says, it does not raise


def restarted(folder: Path):
    flags = parse_flags(["--data-dir", str(folder)], {}, absolute=os.path.abspath)
    options = file_options(flags)
    archive = image_archive(flags, options)
    return options, archive, changer(options, archive)


def test_a_client_opens_no_folder_over_a_restart(tmp_path):
    data, other = tmp_path / "data", tmp_path / "other"
    options, archive, change = restarted(data)
    for key in OUTPUT_FOLDERS:
        with pytest.raises(OptionError, match=key):
            change({key: str(other)})
    change({"jpeg_quality": 90})
    options, archive, change = restarted(data)
    assert not archive.holds(str(other))
    assert options.snapshot().stored == {"jpeg_quality": 90}


def test_a_folder_that_the_settings_file_opens_is_told_in_the_log(tmp_path, caplog):
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    (data / "config.json").write_text(
        f'{{"outdir_txt2img_samples": "{other}", "outdir_img2img_samples": "mine"}}'
    )
    with caplog.at_level(logging.WARNING):
        _, archive, _ = restarted(data)
    assert archive.holds(str(other / "a"))
    (line,) = caplog.messages
    assert str(other) in line and "outdir_txt2img_samples" in line and "config.json" in line
    caplog.clear()
    restarted(tmp_path / "fresh")
    assert caplog.messages == []


def test_a_folder_that_no_path_may_climb_to_is_not_taken_from_the_file_either(tmp_path, caplog):
    data = tmp_path / "data"
    data.mkdir()
    (data / "config.json").write_text('{"outdir_txt2img_samples": "../other"}')
    options, archive, _ = restarted(data)
    assert options.snapshot() == Options()
    assert not archive.holds(str(tmp_path / "other"))
    assert any("outdir_txt2img_samples" in line for line in caplog.messages)
