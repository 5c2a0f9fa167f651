import pytest

from hexfusion.adapters.storage.catalogues.checkpoints_memory import MemoryCatalog
from tests.contracts.model_catalog import ModelCatalogContract


class Bytes:
    def __init__(self):
        self.files = {}

    def put(self, name, content):
        self.files[name] = content

    def remove(self, name):
        del self.files[name]


class TestMemoryCatalog(ModelCatalogContract):
    @pytest.fixture
    def world(self):
        return Bytes()

    @pytest.fixture
    def open_catalog(self, world):
        return lambda: MemoryCatalog(world.files)
