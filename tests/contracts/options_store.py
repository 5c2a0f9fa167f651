"""What every options store must do. Subclass it where the implementation's tests are."""

import threading
from collections.abc import Callable

import pytest

from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import Options, UnknownOption

OpenStore = Callable[[], OptionsStore]


class OptionsStoreContract:
    """Subclasses give the fixture `open_store`: each call opens the same storage anew; and
    `open_limited`, which takes how many bytes it may keep."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> OptionsStore:
        return open_store()

    def test_a_new_store_holds_the_defaults(self, store: OptionsStore):
        assert store.snapshot() == Options()

    def test_an_update_is_returned_seen_and_saved(self, store, open_store):
        changed = store.update(
            {"jpeg_quality": "95", "hide_samplers": ["Euler"], "font": "Šrift 红"}
        )
        assert changed == Options(
            {"jpeg_quality": 95, "hide_samplers": ["Euler"], "font": "Šrift 红"}
        )
        assert store.snapshot() == changed
        assert open_store().snapshot() == changed

    def test_updates_add_up(self, store, open_store):
        store.update({"jpeg_quality": 95})
        store.update({"send_seed": False})
        assert open_store().snapshot().stored == {"jpeg_quality": 95, "send_seed": False}

    def test_a_snapshot_does_not_change(self, store):
        before = store.snapshot()
        store.update({"jpeg_quality": 95})
        assert before["jpeg_quality"] == 80

    def test_null_takes_a_key_back_to_its_default(self, store, open_store):
        store.update({"jpeg_quality": 95})
        store.update({"jpeg_quality": None, "no_such_key": None})
        assert store.snapshot() == Options()
        assert open_store().snapshot() == Options()

    @pytest.mark.parametrize(
        ("bad", "error"),
        [({"no_such_key": 1}, UnknownOption), ({"n_rows": "abc"}, OptionError)],
    )
    def test_a_refused_update_changes_nothing(self, store, open_store, bad, error):
        """A1111 keeps the members before the wrong one (spec api.md 13.2); here: all or none."""
        store.update({"jpeg_quality": 95})
        with pytest.raises(error) as refused:
            store.update({"jpeg_quality": 1, **bad})
        assert refused.value.key in bad
        assert store.snapshot().stored == {"jpeg_quality": 95}
        assert open_store().snapshot().stored == {"jpeg_quality": 95}

    def test_no_update_is_lost_when_many_threads_write(self, store, open_store):
        keys = ("jpeg_quality", "n_rows", "sdxl_crop_left", "sdxl_crop_top")

        def write(key: str) -> None:
            for value in range(1, 10):
                store.update({key: value})

        threads = [threading.Thread(target=write, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.snapshot().stored == dict.fromkeys(keys, 9)
        assert open_store().snapshot().stored == dict.fromkeys(keys, 9)

    def test_all_stored_options_together_have_a_limit(self, open_limited, open_store):
        """A client cannot fill the disk, nor make every reply long."""
        store = open_limited(2000)
        store.update({"deepbooru_filter_tags": "x" * 1500, "jpeg_quality": 90})
        with pytest.raises(OptionError, match="at most 2000 are kept") as refused:
            store.update({"font": "y" * 250, "hide_samplers": ["z" * 250]})
        assert refused.value.key == "hide_samplers"
        assert open_store().snapshot().stored.keys() == {"deepbooru_filter_tags", "jpeg_quality"}
        store.update({"deepbooru_filter_tags": None})
        store.update({"font": "y" * 250})
