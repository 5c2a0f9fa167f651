"""Options that name what has to be there: whoever sets one hears at once that it is not."""

import os

import pytest

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.adapters.storage.fonts import open_font
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.pictures.faces import NoFaceRestorer
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.system.named_things import NamedThings
from hexfusion.application.system.options import ChangeOptions
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import Options


def changer(store, faces=None):
    named = NamedThings(PlainUpscaler(), faces or NoFaceRestorer(), open_font)
    return ChangeOptions(store, find_checkpoint=lambda name: None, check=named.check)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("upscaler_for_img2img", "Bogus", "'Bogus' not found"),
        ("face_restoration_model", "None", "'None' not found"),
        ("face_restoration", True, "CodeFormer needs a face restorer"),
        ("font", "notes.txt", "is no TrueType file"),
        ("font", "missing.ttf", "is no TrueType file"),
    ],
)
def test_what_is_not_there_is_refused(key, value, told):
    store = MemoryOptions()
    with pytest.raises(OptionError, match=told) as refused:
        changer(store)({"jpeg_quality": 90, key: value})
    assert refused.value.key == key
    assert store.snapshot() == Options()


def test_what_is_there_is_stored():
    store = MemoryOptions()
    changer(store, FakeFaceRestorer(["CodeFormer"]))(
        {"upscaler_for_img2img": "Lanczos", "face_restoration": True, "font": ""}
    )
    assert store.snapshot().flag("face_restoration")


def test_a_restorer_without_files_may_be_chosen_while_no_job_asks_for_it_by_itself():
    store = MemoryOptions()
    change = changer(store, FakeFaceRestorer(["CodeFormer"]))
    change({"face_restoration_model": "GFPGAN"})
    change({"face_restoration_model": "CodeFormer", "face_restoration": True})
    with pytest.raises(OptionError, match="face_restoration_model: "):
        change({"face_restoration_model": "GFPGAN"})


def test_what_is_stored_is_not_looked_for_again():
    """Its file may be gone: that is no reason to refuse another change."""
    store = MemoryOptions()
    store.update({"upscaler_for_img2img": "Gone"})
    change = changer(store)
    change({"jpeg_quality": 90, "upscaler_for_img2img": "Gone"})
    assert store.snapshot()["jpeg_quality"] == 90


def test_a_pipe_is_no_font(tmp_path):
    """FreeType would wait for whoever writes into it."""
    pipe = tmp_path / "pipe.ttf"
    os.mkfifo(pipe)
    with pytest.raises(OptionError, match="is no TrueType file"):
        changer(MemoryOptions())({"font": str(pipe)})
