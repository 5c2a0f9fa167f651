"""Use-cases: which small networks there are. Source: spec networks.md 6."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import ModelUnavailable
from hexfusion.domain.extra_networks import Embedding, split_by_text_width


@dataclass(frozen=True)
class EmbeddingLists:
    """Embeddings of the width that the configured checkpoint reads, and the others."""

    loaded: Sequence[Embedding]
    skipped: Sequence[Embedding]


class ListEmbeddings:
    """What `GET /embeddings` shows."""

    def __init__(self, catalog: NetworkCatalog, models: Models, options: OptionsStore) -> None:
        self._catalog = catalog
        self._models = models
        self._options = options

    def __call__(self) -> EmbeddingLists:
        """Both sorted by name. Where no checkpoint tells its width, all of them may fit."""
        try:
            checkpoint = self._models.configured(self._options.snapshot())
        except ModelUnavailable:
            width = None
        else:
            width = self._catalog.text_width(checkpoint)
        return EmbeddingLists(*split_by_text_width(self._catalog.embeddings(), width))
