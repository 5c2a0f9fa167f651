"""Spec api.md 13.1 and 15: what options show of the checkpoint in memory."""

from adapters.gpu.fake import FakeInference
from application.models import Models
from domain.options import Options
from tests.application.worlds import OTHER, TINY, Catalog


def test_unloading_does_not_change_what_is_chosen():
    """Recording rest/unload_options."""
    host = FakeInference()
    models = Models(Catalog([TINY, OTHER]), host, hashing=False)
    assert Models(Catalog([]), host).shown(Options()) == {}
    shown = models.shown(Options({"sd_model_checkpoint": "other"}))
    assert shown["sd_model_checkpoint"] == "other.safetensors"  # though nothing is loaded yet
    models.load(Options({"sd_model_checkpoint": "other"}))
    before = models.shown(Options())
    assert before["sd_model_checkpoint"] == "other.safetensors"
    for _ in range(2):
        models.unload()
        assert host.loaded() is None
        assert models.shown(Options()) == before
