"""Routes that list LoRA, hypernetworks and embeddings.

Source: spec api.md 14 and 15, networks.md 6.
"""

from collections.abc import Callable
from typing import Annotated, Any

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.application.catalogues.embeddings import EmbeddingLists
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.domain.extra_networks import Embedding


class LoraItem(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA, LyCORIS or similar network."""

    name: Annotated[str, Meta(description="What a prompt calls it: <lora:name:1>.")]
    alias: Annotated[
        str, Meta(description="Another name that prompts may use: the output name in the metadata.")
    ]
    path: str
    metadata: Annotated[dict[str, Any], Meta(description="The metadata in the file.")]


class HypernetworkItem(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork."""

    name: Annotated[str, Meta(description="What a prompt calls it: <hypernet:name:1>.")]
    path: str


class EmbeddingItem(msgspec.Struct, frozen=True, kw_only=True):
    """A textual-inversion embedding. Null where its file has no value."""

    step: Annotated[int | None, Meta(description="Training steps.")]
    sd_checkpoint: Annotated[str | None, Meta(description="Hash of the checkpoint it is for.")]
    sd_checkpoint_name: Annotated[str | None, Meta(description="That checkpoint's name.")]
    shape: Annotated[int, Meta(description="Width: numbers in each vector.")]
    vectors: Annotated[int, Meta(description="Number of vectors.")]


class EmbeddingsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Embeddings by name."""

    loaded: Annotated[
        dict[str, EmbeddingItem], Meta(description="Those that fit the checkpoint's width.")
    ]
    skipped: Annotated[dict[str, EmbeddingItem], Meta(description="Of another width.")]


class Loras:
    """`GET /sdapi/v1/loras`"""

    def __init__(self, networks: NetworkCatalog) -> None:
        self._networks = networks

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                LoraItem(
                    name=each.name, alias=each.alias, path=each.path, metadata=dict(each.metadata)
                )
                for each in self._networks.loras()
            ],
        )


class Hypernetworks:
    """`GET /sdapi/v1/hypernetworks`"""

    def __init__(self, networks: NetworkCatalog) -> None:
        self._networks = networks

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._networks.hypernetworks()
        send_json(resp, [HypernetworkItem(name=each.name, path=each.path) for each in found])


class Embeddings:
    """`GET /sdapi/v1/embeddings`"""

    def __init__(self, embeddings: Callable[[], EmbeddingLists]) -> None:
        self._embeddings = embeddings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        lists = self._embeddings()
        send_json(
            resp,
            EmbeddingsResponse(
                loaded={each.name: _item(each) for each in lists.loaded},
                skipped={each.name: _item(each) for each in lists.skipped},
            ),
        )


def _item(embedding: Embedding) -> EmbeddingItem:
    return EmbeddingItem(
        step=embedding.step,
        sd_checkpoint=embedding.sd_checkpoint,
        sd_checkpoint_name=embedding.sd_checkpoint_name,
        shape=embedding.width,
        vectors=embedding.vectors,
    )
