"""In-memory store of term lists, for tests; the counterpart of `terms_files`."""

from collections.abc import Mapping


class MemoryTerms:
    """A `TermStore` over `texts`, a mapping of names to texts."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})

    def terms(self) -> Mapping[str, str]:
        """See `TermStore.terms`."""
        return dict(sorted(self._texts.items()))
