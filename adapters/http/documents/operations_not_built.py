"""OpenAPI operations: routes that are not implemented, and answer 501."""

from hexfusion.adapters.http.documents.operation import Operation
from hexfusion.adapters.http.resources.not_built import CreateResponse, TrainResponse

#: A PNG of one pixel, with infotext.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAALnRFWHRwYXJhbWV0ZXJzAGEgZG90ClN0ZXBzOiAy"
    "MCwgU2VlZDogMSwgU2l6ZTogMXgxEdNHPQAAAApJREFUeJxjYAAAAAIAAUivpHEAAAAASUVORK5CYII="
)
_ERRORS = (400, 413, 422, 501)

LATER: tuple[Operation, ...] = (
    Operation(
        path="/sdapi/v1/create/embedding",
        method="post",
        id="create_embedding_sdapi_v1_create_embedding_post",
        tag="training",
        summary="Make a new embedding (not yet: 501)",
        body="Arguments",
        example={"name": "mine", "num_vectors_per_token": 2, "overwrite_old": False},
        returns=CreateResponse,
        errors=_ERRORS,
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/create/hypernetwork",
        method="post",
        id="create_hypernetwork_sdapi_v1_create_hypernetwork_post",
        tag="training",
        summary="Make a new hypernetwork (not yet: 501)",
        body="Arguments",
        example={"name": "mine", "enable_sizes": [768], "layer_structure": [1, 2, 1]},
        returns=CreateResponse,
        errors=_ERRORS,
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/train/embedding",
        method="post",
        id="train_embedding_sdapi_v1_train_embedding_post",
        tag="training",
        summary="Train an embedding (not yet: 501)",
        body="Arguments",
        example={"embedding_name": "mine", "steps": 1000},
        returns=TrainResponse,
        errors=_ERRORS,
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/train/hypernetwork",
        method="post",
        id="train_hypernetwork_sdapi_v1_train_hypernetwork_post",
        tag="training",
        summary="Train a hypernetwork (not yet: 501)",
        body="Arguments",
        example={"hypernetwork_name": "mine", "steps": 1000},
        returns=TrainResponse,
        errors=_ERRORS,
        admin=True,
    ),
)
