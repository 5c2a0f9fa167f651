"""Term lists that are kept nowhere."""

from collections.abc import Mapping


class MemoryTerms:
    """The texts given, by the names of the files they might be in."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})

    def terms(self) -> Mapping[str, str]:
        """See `TermStore.terms`."""
        return dict(sorted(self._texts.items()))
