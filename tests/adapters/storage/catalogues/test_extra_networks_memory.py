import pytest

from hexfusion.adapters.storage.catalogues.extra_networks_memory import MemoryNetworks
from tests.adapters.storage.catalogues.test_vaes_memory import Bytes
from tests.contracts.network_catalog import NetworkCatalogContract


class TestMemoryNetworks(NetworkCatalogContract):
    @pytest.fixture
    def world(self):
        return Bytes()

    @pytest.fixture
    def open_catalog(self, world):
        return lambda: MemoryNetworks(world.files)
