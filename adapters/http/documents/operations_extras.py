"""OpenAPI operations: extras and interrogation."""

from hexfusion.adapters.http.documents.operation import (
    JOB_ACCEPTED,
    JOB_HEADERS,
    JOB_PARAMETERS,
    Operation,
)
from hexfusion.adapters.http.documents.operations_not_built import PIXEL
from hexfusion.adapters.http.resources.extras import (
    ExtrasBatchImagesRequest,
    ExtrasBatchImagesResponse,
    ExtrasSingleImageRequest,
    ExtrasSingleImageResponse,
)
from hexfusion.adapters.http.resources.interrogate import CaptionResponse, InterrogateRequest

_ERRORS = (400, 404, 409, 413, 422, 429, 500, 501, 503, 507)

EXTRAS: tuple[Operation, ...] = (
    Operation(
        path="/sdapi/v1/extra-single-image",
        method="post",
        id="extras_single_image_api_sdapi_v1_extra_single_image_post",
        tag="pictures",
        summary="Enlarge and mend a picture",
        body=ExtrasSingleImageRequest,
        example={"image": PIXEL, "upscaler_1": "Lanczos", "upscaling_resize": 2},
        returns=ExtrasSingleImageResponse,
        parameters=JOB_PARAMETERS,
        headers=JOB_HEADERS,
        accepted=JOB_ACCEPTED,
        errors=_ERRORS,
    ),
    Operation(
        path="/sdapi/v1/extra-batch-images",
        method="post",
        id="extras_batch_images_api_sdapi_v1_extra_batch_images_post",
        tag="pictures",
        summary="Enlarge and mend several pictures",
        body=ExtrasBatchImagesRequest,
        example={"imageList": [{"data": PIXEL, "name": "dot.png"}], "upscaler_1": "Lanczos"},
        returns=ExtrasBatchImagesResponse,
        parameters=JOB_PARAMETERS,
        headers=JOB_HEADERS,
        accepted=JOB_ACCEPTED,
        errors=_ERRORS,
    ),
    Operation(
        path="/sdapi/v1/interrogate",
        method="post",
        id="interrogateapi_sdapi_v1_interrogate_post",
        tag="pictures",
        summary="Find words for a picture",
        body=InterrogateRequest,
        example={"image": PIXEL, "model": "clip"},
        returns=CaptionResponse,
        parameters=JOB_PARAMETERS,
        headers=JOB_HEADERS,
        accepted=JOB_ACCEPTED,
        errors=_ERRORS,
    ),
)
