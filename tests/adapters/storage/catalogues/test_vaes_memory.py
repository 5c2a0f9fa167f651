import pytest

from hexfusion.adapters.storage.catalogues.vaes_memory import MemoryVaes
from tests.contracts.vae_catalog import VaeCatalogContract


class Bytes:
    def __init__(self):
        self.files = {}

    def put(self, path, content):
        self.files[path] = content

    def remove(self, path):
        del self.files[path]

    def filename(self, path):
        return path


class TestMemoryVaes(VaeCatalogContract):
    @pytest.fixture
    def world(self):
        return Bytes()

    @pytest.fixture
    def open_catalog(self, world):
        return lambda: MemoryVaes(world.files)
