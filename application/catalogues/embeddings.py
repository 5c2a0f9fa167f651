"""Use-case: list the embeddings that fit the checkpoint, and the others.

Source: spec networks.md 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import ModelUnavailable
from hexfusion.domain.extra_networks import Embedding, split_by_text_width


@dataclass(frozen=True)
class EmbeddingLists:
    """Embeddings that fit the configured checkpoint (`loaded`), and those of another width
    (`skipped`)."""

    loaded: Sequence[Embedding]
    skipped: Sequence[Embedding]


class ListEmbeddings:
    """The data of `GET /embeddings`."""

    def __init__(self, catalog: NetworkCatalog, models: Models, options: OptionsStore) -> None:
        self._catalog = catalog
        self._models = models
        self._options = options

    def __call__(self) -> EmbeddingLists:
        """Both lists sorted by name. If the checkpoint's width is unknown, all embeddings fit."""
        try:
            checkpoint = self._models.configured(self._options.snapshot())
        except ModelUnavailable:
            width = None
        else:
            width = self._catalog.text_width(checkpoint)
        return EmbeddingLists(*split_by_text_width(self._catalog.embeddings(), width))
