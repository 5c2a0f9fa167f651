"""In-memory store of styles, for tests; the counterpart of `styles_files`."""

from collections.abc import Iterable, Sequence

from hexfusion.domain.prompts import Style


class MemoryStyles:
    """A `StyleStore` of given styles."""

    def __init__(self, styles: Iterable[Style] = ()) -> None:
        self._styles = tuple(styles)

    def styles(self) -> Sequence[Style]:
        return self._styles
