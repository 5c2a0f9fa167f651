"""In-memory store of options, for tests; the counterpart of `options_file`."""

import threading
from collections.abc import Mapping

from hexfusion.domain.options import SIZE, Options, judge_size


class SavedOptions:
    """The stored options, which outlive a `MemoryOptions` as a file outlives a `FileOptions`."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = Options() if options is None else options
        self.lock = threading.Lock()


class MemoryOptions:
    """An `OptionsStore` over a `SavedOptions` cell. Two stores over one cell share what they
    save."""

    def __init__(self, saved: SavedOptions | None = None, *, limit: int = SIZE) -> None:
        """`limit` is how many bytes all stored options may take."""
        self._limit = limit
        self._saved = SavedOptions() if saved is None else saved

    def snapshot(self) -> Options:
        return self._saved.options

    def update(self, changes: Mapping[str, object]) -> Options:
        with self._saved.lock:
            options = self._saved.options.updated(changes)
            judge_size(self._saved.options.stored, options.stored, self._limit)
            self._saved.options = options
            return self._saved.options
