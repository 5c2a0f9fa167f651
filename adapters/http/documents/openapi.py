"""The OpenAPI 3.1 document, generated from the structs of requests and replies.

Schema names and operation ids are A1111's, so that clients generated from A1111's document stay
compatible. Every route of `app.routes` has an operation here, which a test checks.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import msgspec

from hexfusion.adapters.http.access.gate import OPEN
from hexfusion.adapters.http.documents import operations_health, operations_jobs
from hexfusion.adapters.http.documents.errors import ERROR_STRUCTS, error
from hexfusion.adapters.http.documents.operation import (
    JOB_ACCEPTED,
    JOB_HEADERS,
    JOB_PARAMETERS,
    Json,
    Operation,
    Parameter,
)
from hexfusion.adapters.http.documents.operations_extras import EXTRAS
from hexfusion.adapters.http.documents.operations_lists import LISTS
from hexfusion.adapters.http.documents.operations_not_built import LATER, PIXEL
from hexfusion.adapters.http.resources.catalogues import (
    PromptStyleItem,
    SamplerItem,
    SchedulerItem,
    SDModelItem,
)
from hexfusion.adapters.http.resources.generation import ImageToImageResponse, TextToImageResponse
from hexfusion.adapters.http.resources.job_json import JobResponse
from hexfusion.adapters.http.resources.jobs import ProgressResponse
from hexfusion.adapters.http.resources.pictures import PNGInfoRequest
from hexfusion.adapters.http.resources.system import MemoryResponse
from hexfusion.adapters.http.resources.vaes import SDVaeItem
from hexfusion.application.describing.picture_info import PictureInfo
from hexfusion.domain.flags import A1111, Flag
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import REGISTRY, Option, expected

_ID_TASK = Parameter("id_task", "The job's id; without it the one that has run longest.")
_ARGUMENTS = {"type": "object", "description": "Arguments by name, as A1111's functions take."}
_JOB = {"type": "object", "properties": {"id_task": {"type": "string"}}}
#: Before OpenAPI 3.2 the schema of an event stream is that of each event.
_EVENT: Json = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "What has happened."},
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "data": {"type": "string", "description": "More of it, as JSON."},
    },
    "required": ["event", "data"],
}

OPERATIONS: tuple[Operation, ...] = (
    *LISTS,
    *LATER,
    *EXTRAS,
    Operation(
        path="/sdapi/v1/txt2img",
        method="post",
        id="text2imgapi_sdapi_v1_txt2img_post",
        tag="generation",
        summary="Make pictures from a prompt",
        body=Txt2Img,
        example={"prompt": "a red circle on a blue background", "steps": 20},
        parameters=JOB_PARAMETERS,
        returns=TextToImageResponse,
        headers=JOB_HEADERS,
        accepted=JOB_ACCEPTED,
        errors=(400, 409, 413, 422, 429, 500, 501, 503, 507),
    ),
    Operation(
        path="/sdapi/v1/img2img",
        method="post",
        id="img2imgapi_sdapi_v1_img2img_post",
        tag="generation",
        summary="Make pictures from a picture, whole or under a mask",
        body=Img2Img,
        example={"init_images": [PIXEL], "prompt": "a red circle", "denoising_strength": 0.6},
        parameters=JOB_PARAMETERS,
        returns=ImageToImageResponse,
        headers=JOB_HEADERS,
        accepted=JOB_ACCEPTED,
        errors=(400, 404, 409, 413, 422, 429, 500, 501, 503, 507),
    ),
    Operation(
        path="/sdapi/v1/progress",
        id="progressapi_sdapi_v1_progress_get",
        tag="jobs",
        summary="See how far a job is",
        parameters=(
            Parameter("skip_current_image", "Leave the preview out.", "boolean", False),
            _ID_TASK,
        ),
        returns=ProgressResponse,
        errors=(404, 422, 500),
    ),
    Operation(
        path="/sdapi/v1/interrupt",
        method="post",
        id="interruptapi_sdapi_v1_interrupt_post",
        tag="jobs",
        summary="Finish the picture in hand and make no more",
        body="Job",
        body_required=False,
        parameters=(_ID_TASK,),
        returns={"type": "object"},
        errors=(400, 404, 422),
    ),
    Operation(
        path="/sdapi/v1/skip",
        method="post",
        id="skip_sdapi_v1_skip_post",
        tag="jobs",
        summary="Finish the batch in hand and go on with the next",
        body="Job",
        body_required=False,
        parameters=(_ID_TASK,),
        returns={"type": "null"},
        errors=(400, 404, 422),
    ),
    Operation(
        path="/sdapi/v1/png-info",
        method="post",
        id="pnginfoapi_sdapi_v1_png_info_post",
        tag="pictures",
        summary="Read what a picture was made with",
        body=PNGInfoRequest,
        example={"image": PIXEL},
        returns=PictureInfo,
        errors=(400, 413, 422, 500),
    ),
    Operation(
        path="/sdapi/v1/options",
        id="get_config_sdapi_v1_options_get",
        tag="options",
        summary="Read the options",
        returns="Options",
    ),
    Operation(
        path="/sdapi/v1/options",
        method="post",
        id="set_config_sdapi_v1_options_post",
        tag="options",
        summary="Change options, all of those given or none",
        body="Options",
        example={"jpeg_quality": 90},
        returns={"type": "null"},
        errors=(400, 413, 422, 429, 500, 507),
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/samplers",
        id="get_samplers_sdapi_v1_samplers_get",
        tag="catalogues",
        summary="List the samplers",
        returns=list[SamplerItem],
    ),
    Operation(
        path="/sdapi/v1/schedulers",
        id="get_schedulers_sdapi_v1_schedulers_get",
        tag="catalogues",
        summary="List the noise schedules",
        returns=list[SchedulerItem],
    ),
    Operation(
        path="/sdapi/v1/sd-models",
        id="get_sd_models_sdapi_v1_sd_models_get",
        tag="catalogues",
        summary="List the checkpoints",
        returns=list[SDModelItem],
    ),
    Operation(
        path="/sdapi/v1/refresh-checkpoints",
        method="post",
        id="refresh_checkpoints_sdapi_v1_refresh_checkpoints_post",
        tag="catalogues",
        summary="Look for checkpoints again",
        returns={"type": "null"},
        errors=(429, 500),
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/sd-vae",
        id="get_sd_vaes_sdapi_v1_sd_vae_get",
        tag="catalogues",
        summary="List the VAEs that lie in files of their own",
        returns=list[SDVaeItem],
    ),
    Operation(
        path="/sdapi/v1/refresh-vae",
        method="post",
        id="refresh_vae_sdapi_v1_refresh_vae_post",
        tag="catalogues",
        summary="Look for VAEs again",
        returns={"type": "null"},
        errors=(429, 500),
        admin=True,
    ),
    Operation(
        path="/sdapi/v1/prompt-styles",
        id="get_prompt_styles_sdapi_v1_prompt_styles_get",
        tag="catalogues",
        summary="List the styles",
        returns=list[PromptStyleItem],
    ),
    Operation(
        path="/sdapi/v1/memory",
        id="get_memory_sdapi_v1_memory_get",
        tag="system",
        summary="See how much memory is in use",
        returns=MemoryResponse,
    ),
    Operation(
        path="/sdapi/v1/cmd-flags",
        id="get_cmd_flags_sdapi_v1_cmd_flags_get",
        tag="system",
        summary="See the command-line flags the server runs with",
        returns="Flags",
    ),
    Operation(
        path="/internal/ping",
        id="ping_internal_ping_get",
        tag="system",
        summary="Answer, and nothing else",
        returns={"type": "object"},
    ),
    Operation(
        path="/docs",
        id="docs_get",
        tag="documentation",
        summary="Swagger UI for this document",
        returns="text/html",
    ),
    Operation(
        path="/redoc",
        id="redoc_get",
        tag="documentation",
        summary="ReDoc for this document",
        returns="text/html",
    ),
    Operation(
        path="/openapi.json",
        id="openapi_get",
        tag="documentation",
        summary="This document",
        returns={"type": "object"},
    ),
    *operations_jobs.OPERATIONS,
    *operations_health.OPERATIONS,
)

#: The path and the method of what only administrators may do, where any are named.
ADMIN_ROUTES = frozenset((each.path, each.method.upper()) for each in OPERATIONS if each.admin)

#: A1111 has the first alone. Each is named in `_SECURITY`, beside the case that nobody is asked.
_SCHEMES: Json = {
    "HTTPBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "A user of --api-auth or --api-auth-file, where the server has any.",
    },
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of --api-token-file, where the server has any.",
    },
}
_SECURITY: list[Json] = [{}, *({name: []} for name in _SCHEMES)]

#: A1111's names for schemas that have their own here.
_NAMES = {
    "Txt2Img": "StableDiffusionProcessingTxt2Img",
    "Img2Img": "StableDiffusionProcessingImg2Img",
    "PictureInfo": "PNGInfoResponse",
}


Maxima = Mapping[str, Mapping[str, int]]
"""JSON schema keywords, such as `maximum`, by a request's field."""


def document(
    version: str, prefix: str = "", limits: Json | None = None, maxima: Maxima | None = None
) -> Json:
    """The whole document. `prefix` is the path that a proxy serves this server under.

    `limits` are the bounds in force, by flag: value, unit, and what each bounds; `maxima` are those
    that a field of requests for pictures has.
    """
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hexfusion",
            "version": version,
            "summary": "AUTOMATIC1111's REST API, headless.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "x-limits": limits or {},
        },
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "paths": paths,
        "components": {"schemas": _components(maxima or {}), "securitySchemes": _SCHEMES},
    }


def _operation(operation: Operation) -> Json:
    content_type, schema = _content(operation.returns)
    answer: Json = {"description": "Done", "content": {content_type: {"schema": schema}}}
    if operation.headers:
        answer["headers"] = _headers(operation.headers)
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {"200": answer} | {str(code): error(code) for code in operation.errors},
    }
    if operation.accepted:
        described["responses"]["202"] = _accepted(operation)
    if operation.nothing:
        described["responses"]["204"] = {"description": operation.nothing}
    if operation.unfit:
        described["responses"]["503"] = {**answer, "description": operation.unfit}
    if operation.path not in OPEN:
        described["security"] = _SECURITY
        described["responses"] |= {str(code): error(code) for code in (401, 429)}
    if operation.admin:
        described["description"] = "Only for administrators, where --api-admin names any."
        described["responses"]["403"] = error(403)
    if operation.parameters:
        described["parameters"] = [_parameter(each) for each in operation.parameters]
    if operation.body:
        _, schema = _content(operation.body)
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": schema, "example": operation.example}},
        }
    return described


def _headers(headers: Iterable[Parameter]) -> Json:
    return {
        each.name: {"description": each.about, "schema": {"type": each.type}} for each in headers
    }


def _accepted(operation: Operation) -> Json:
    """What a 202 is: a job."""
    schema = _reference(JobResponse.__name__)
    described: Json = {
        "description": operation.accepted,
        "content": {"application/json": {"schema": schema}},
    }
    if operation.method == "post":
        location = Parameter("Location", "Where to ask for the job: /v1/jobs/{id}.")
        applied = Parameter("Preference-Applied", "respond-async")
        described["headers"] = _headers((location, applied, *operation.headers[:1]))
    return described


def _content(kind: Any) -> tuple[str, Json]:
    match kind:
        case dict():
            return "application/json", kind
        case "text/event-stream":
            return kind, _EVENT
        case str() if "/" in kind:
            return kind, {"type": "string"}
        case str():
            return "application/json", _reference(kind)
        case type() if not get_args(kind):
            return "application/json", _reference(_NAMES.get(kind.__name__, kind.__name__))
        case _:
            (item,) = get_args(kind)
            return "application/json", {"type": "array", "items": _reference(item.__name__)}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(each: Parameter) -> Json:
    schema: Json = {"type": each.type}
    if each.default is not None:
        schema["default"] = each.default
    if each.least is not None:
        schema["minimum"] = each.least
    described: Json = {"name": each.name, "in": each.where, "description": each.about}
    return described | ({"required": True} if each.where == "path" else {}) | {"schema": schema}


def _components(maxima: Maxima) -> Json:
    structs = {each: None for operation in OPERATIONS for each in _structs(operation)}
    structs |= dict.fromkeys(ERROR_STRUCTS)
    template = "#/components/schemas/{name}"
    _, schemas = msgspec.json.schema_components(list(structs), ref_template=template)
    text = msgspec.json.encode(schemas).decode()
    for ours, theirs in _NAMES.items():
        text = text.replace(f'schemas/{ours}"', f'schemas/{theirs}"')
    schemas = {_NAMES.get(name, name): schema for name, schema in msgspec.json.decode(text).items()}
    for bounded in (Txt2Img, Img2Img):
        _bound(schemas[_NAMES[bounded.__name__]]["properties"], maxima)
    return {
        **schemas,
        "Options": _options(),
        "Flags": _flags(),
        "Job": _JOB,
        "Arguments": _ARGUMENTS,
    }


def _bound(properties: Json, maxima: Maxima) -> None:
    """Add the maxima to the schemas of fields; where a field has a lower one already, it stays."""
    for field, keywords in maxima.items():
        schema = properties.get(field, {})
        types = schema.get("anyOf", [schema])  # text or null
        for each in types:
            for keyword, most in keywords.items():
                if each.get("type") != "null":
                    each[keyword] = min(most, each.get(keyword, most))


def _structs(operation: Operation) -> Iterator[type]:
    """What the operation takes and answers, where that is a struct or a list of structs."""
    for kind in (operation.body, operation.returns):
        for each in get_args(kind) or (kind,):
            if isinstance(each, type):
                yield each


def _options() -> Json:
    return {
        "type": "object",
        "description": "Options by key. A change may give any of them.",
        "properties": {
            key: _option(option) for key, option in REGISTRY.items() if not option.web_ui_only
        },
    }


def _option(option: Option) -> Json:
    types = {"bool": "boolean", "int": "number", "float": "number", "str": "string"}
    schema: Json = {"type": [types.get(option.kind, "array"), "null"], "default": option.default}
    if option.kind == "list":
        schema["items"] = {"type": "string"}
    about = [option.about or "For clients with a user interface; kept and echoed."]
    if admitted := expected(option):
        about.append(f"{admitted[0].upper()}{admitted[1:]}.")
    return schema | {"description": " ".join(about)}


def _flags() -> Json:
    return {
        "type": "object",
        "description": "Flags by name. What was not given is null, where it has no default.",
        "properties": {flag.dest: _flag(flag) for flag in A1111},
    }


def _flag(flag: Flag) -> Json:
    """Typed as `GET /cmd-flags` types it: text, where there is no default."""
    schema: Json = {"description": f"{flag.help[:1].upper()}{flag.help[1:]}."}
    match flag.default:
        case None:
            return {"type": ["string", "null"], "default": None} | schema
        case bool():
            return {"type": "boolean", "default": flag.default} | schema
        case int():
            return {"type": "integer", "default": flag.default} | schema
        case str():
            return {"type": "string", "default": flag.default} | schema
        case tuple():
            default = list(flag.default)
            return {"type": "array", "items": {"type": "string"}, "default": default} | schema
        case _:
            return {"type": "object", "default": {}} | schema
