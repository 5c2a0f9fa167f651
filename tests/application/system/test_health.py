"""Can the server take a job?"""

import time

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.jobs import JobStoreError
from hexfusion.application.system.health import Health, ReadHealth
from hexfusion.domain.errors import CheckpointError
from tests.application.worlds import OTHER, TINY, Catalog


class Scene:
    def __init__(self, *checkpoints, broken=()) -> None:
        def read(checkpoint):
            if checkpoint in broken:
                raise CheckpointError(checkpoint.filename, "is truncated", "x.weight")

        self.host = FakeInference(read=read)
        self.models = Models(Catalog(checkpoints), self.host, hashing=False)
        self.options = MemoryOptions()
        self.jobs = JobQueue(time.time, max_waiting=0)
        self.health = ReadHealth(self.models, self.options, self.jobs)


def test_a_model_that_is_loaded_or_that_the_next_job_loads():
    it = Scene(TINY)
    assert it.health() == Health(ready=True, model="loadable", queue="open")
    it.models.load(it.options.snapshot())
    assert it.health() == Health(ready=True, model="loaded", queue="open")
    it.host.unload()
    assert it.health().model == "loadable"


def test_without_any_checkpoint_it_says_what_to_do():
    health = Scene().health()
    assert not health.ready
    assert "models/Stable-diffusion" in health.model


def test_a_checkpoint_that_was_tried_and_does_not_load():
    it = Scene(TINY, OTHER, broken=[TINY])
    with pytest.raises(CheckpointError):
        it.models.load(it.options.snapshot())
    health = it.health()
    assert not health.ready
    assert health.model == "/models/tiny.safetensors: tensor 'x.weight': is truncated"
    it.options.update({"sd_model_checkpoint": OTHER.name})
    assert it.health().ready  # that one was not tried
    it.models.load(it.options.snapshot())
    assert it.health().model == "loaded"


def test_a_full_queue_and_a_stopping_server():
    it = Scene(TINY)
    with it.jobs.admit(Job("txt2img", time.time)):
        assert it.health() == Health(ready=False, model="loadable", queue="full")
    assert it.health().ready
    it.jobs.stop(0)
    assert it.health() == Health(ready=False, model="loadable", queue="stopping")


def test_a_store_that_cannot_be_written():
    """Where jobs are kept in a folder, one that is left to the server would be refused."""
    it = Scene(TINY)

    def full() -> None:
        raise JobStoreError("/jobs: No space left on device")

    health = ReadHealth(it.models, it.options, it.jobs, full)()
    assert (health.ready, health.results) == (False, "/jobs: No space left on device")
    assert it.health().results == "writable"
