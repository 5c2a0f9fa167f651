"""Spec scripts.md 3 and 14. Forms are compared with the recording in test_lists.py."""

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.scripts.listing import ListScripts
from tests.application.worlds import OTHER, TINY, Catalog


def form(name, **options):
    store = MemoryOptions()
    store.update(options)
    models = Models(Catalog([TINY, OTHER]), FakeInference())
    listed = ListScripts(models, store, PlainUpscaler())()
    script, of_pictures = (each for each in listed if each.name == name)
    assert script.arguments == of_pictures.arguments
    return script.arguments


def test_a_refiner_is_chosen_among_the_checkpoints():
    _, checkpoint, _ = form("refiner")
    assert checkpoint.choices == (TINY.title, OTHER.title)
    assert checkpoint.value == ""


def test_hidden_samplers_are_no_choice():
    """Option hide_samplers."""
    _, method, _ = form("sampler", hide_samplers=["DPM++ 2M", "LCM"])
    assert method.value == method.choices[0] == "DPM++ SDE"
    assert "LCM" not in method.choices
