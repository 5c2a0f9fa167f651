import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions, SavedOptions
from hexfusion.domain.options import Options
from tests.contracts.options_store import OptionsStoreContract


class TestMemoryOptions(OptionsStoreContract):
    @pytest.fixture
    def saved(self):
        return SavedOptions()

    @pytest.fixture
    def open_store(self, saved):
        return lambda: MemoryOptions(saved)

    @pytest.fixture
    def open_limited(self, saved):
        return lambda limit: MemoryOptions(saved, limit=limit)


def test_it_can_start_with_options():
    store = MemoryOptions(SavedOptions(Options({"jpeg_quality": 95})))
    assert store.snapshot()["jpeg_quality"] == 95
