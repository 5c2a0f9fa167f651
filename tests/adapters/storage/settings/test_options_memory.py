import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions, SavedOptions
from hexfusion.domain.options import Options
from tests.contracts.options_store import OptionsStoreContract


class TestMemoryOptions(OptionsStoreContract):
    @pytest.fixture
    def open_store(self):
        saved = SavedOptions()
        return lambda: MemoryOptions(saved)


def test_it_can_start_with_options():
    store = MemoryOptions(SavedOptions(Options({"jpeg_quality": 95})))
    assert store.snapshot()["jpeg_quality"] == 95
