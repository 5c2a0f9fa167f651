"""Spec api.md 13.1 and 15: what options show of the checkpoint, and what changing them loads."""

import threading

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.catalogues.vaes_memory import MemoryVaes
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.system.options import ChangeOptions
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.options import Options
from tests.application.worlds import OTHER, TINY, Catalog

BROKEN = "broken.safetensors"


class Reads:
    """Notes what is read, and finds fault with whatever is called broken."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, checkpoint: Checkpoint) -> None:
        self.names.append(checkpoint.name)
        if checkpoint.name == BROKEN:
            raise CheckpointError(checkpoint.filename, "is broken")


@pytest.fixture
def reads():
    return Reads()


@pytest.fixture
def host(reads):
    return FakeInference(read=reads)


@pytest.fixture
def models(host):
    vaes = Vaes(MemoryVaes({"VAE/good.safetensors": b"x", f"VAE/{BROKEN}": b"y"}))
    return Models(Catalog([TINY, OTHER]), host, vaes=vaes)


@pytest.fixture
def store():
    return MemoryOptions()


@pytest.fixture
def change(store, models):
    return ChangeOptions(
        store,
        find_checkpoint=lambda name: name,
        on_change={"sd_model_checkpoint": models.load, "sd_vae": models.load_vae},
    )


def test_what_options_show_is_what_is_configured_loaded_or_not(models, host, store, change):
    """Recording rest/unload_options."""
    assert Models(Catalog([]), host).shown(Options()) == {}
    assert models.shown(store.snapshot())["sd_model_checkpoint"] == "tiny.safetensors"
    change({"sd_model_checkpoint": "other"})
    for _ in range(2):
        assert models.shown(store.snapshot())["sd_model_checkpoint"] == "other.safetensors"
        models.unload()
        assert host.loaded() is None


def test_what_a_job_had_loaded_does_not_show(models, host, store, change):
    """Spec networks.md 1.5: overrides, refiner and hires leave the stored option."""
    change({"sd_model_checkpoint": "tiny"})
    host.load(OTHER)
    assert models.shown(store.snapshot())["sd_model_checkpoint"] == "tiny.safetensors"


def test_a_vae_is_loaded_when_it_is_chosen(reads, models, store, change):
    """Spec networks.md 1.6; api.md 13.2: its change callback."""
    models.load(store.snapshot())
    change({"sd_vae": "good.safetensors"})
    assert reads.names == ["tiny.safetensors", "good.safetensors"]


def test_one_that_does_not_load_is_named_and_not_chosen(host, models, store, change):
    change({"sd_vae": "good.safetensors", "sd_model_checkpoint": "other"})
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: is broken"):
        change({"sd_vae": BROKEN})
    assert store.snapshot()["sd_vae"] == "good.safetensors"
    assert host.loaded().filename == OTHER.filename


def test_a_checkpoint_comes_with_its_vae(reads, store, change, host):
    change({"sd_vae": "good.safetensors"})
    change({"sd_model_checkpoint": "other"})
    assert reads.names[-2:] == ["other.safetensors", "good.safetensors"]


def test_who_unloaded_does_not_get_it_back_with_a_vae(host, models, store, change):
    change({"sd_vae": "good.safetensors"})
    models.unload()
    change({"sd_vae": "None"})
    assert host.loaded() is None
    models.load(store.snapshot())
    models.unload()
    host.load(TINY)  # by a job
    change({"sd_vae": "good.safetensors"})
    assert host.loaded() is not None


def test_what_is_ready_are_the_files_in_memory(host, models):
    assert models.ready() == set()
    host.load(OTHER)
    assert models.ready() == {OTHER.filename}


class UnloadedMeanwhile(FakeInference):
    """As soon as it has loaded, somebody else unloads."""

    models: Models | None = None

    def load(self, checkpoint, vae=None):
        super().load(checkpoint, vae)
        if self.models:
            unload = threading.Thread(target=self.models.unload)
            unload.start()
            unload.join(0.3)  # it may have to wait until the load is noted
            self.models, self.unloading = None, unload


def test_an_unload_that_ends_before_a_load_is_noted_still_counts(store):
    host = UnloadedMeanwhile()
    models = Models(Catalog([TINY]), host, hashing=False)
    host.models = models
    models.load(store.snapshot())
    host.unloading.join(10)
    assert host.loaded() is None
    models.load_vae(store.snapshot())
    assert host.loaded() is None
