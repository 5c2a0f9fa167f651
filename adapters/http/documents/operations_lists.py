"""OpenAPI operations: lists, actions such as refresh, system report, stopping the server."""

from hexfusion.adapters.http.documents.operation import Operation, Parameter
from hexfusion.adapters.http.resources.extra_networks import (
    EmbeddingsResponse,
    HypernetworkItem,
    LoraItem,
)
from hexfusion.adapters.http.resources.scripts import ExtensionItem, ScriptInfo, ScriptsList
from hexfusion.adapters.http.resources.system import AboutResponse
from hexfusion.adapters.http.resources.upscalers import (
    FaceRestorerItem,
    LatentUpscalerModeItem,
    RealesrganItem,
    UpscalerItem,
)
from hexfusion.adapters.http.resources.vaes import SDVaeItem

_NULL, _OBJECT = {"type": "null"}, {"type": "object"}

LISTS: tuple[Operation, ...] = (
    Operation(
        path="/sdapi/v1/sd-modules",
        id="get_sd_modules_sdapi_v1_sd_modules_get",
        tag="catalogues",
        summary="List the VAEs, as clients of Forge ask for them",
        returns=list[SDVaeItem],
    ),
    Operation(
        path="/sdapi/v1/upscalers",
        id="get_upscalers_sdapi_v1_upscalers_get",
        tag="catalogues",
        summary="List the upscalers that work here",
        returns=list[UpscalerItem],
    ),
    Operation(
        path="/sdapi/v1/latent-upscale-modes",
        id="get_latent_upscale_modes_sdapi_v1_latent_upscale_modes_get",
        tag="catalogues",
        summary="List the ways hires fix can enlarge a latent",
        returns=list[LatentUpscalerModeItem],
    ),
    Operation(
        path="/sdapi/v1/face-restorers",
        id="get_face_restorers_sdapi_v1_face_restorers_get",
        tag="catalogues",
        summary="List the face restorers whose files are here",
        returns=list[FaceRestorerItem],
    ),
    Operation(
        path="/sdapi/v1/realesrgan-models",
        id="get_realesrgan_models_sdapi_v1_realesrgan_models_get",
        tag="catalogues",
        summary="List the Real-ESRGAN models that work here",
        returns=list[RealesrganItem],
    ),
    Operation(
        path="/sdapi/v1/loras",
        id="get_loras_sdapi_v1_loras_get",
        tag="catalogues",
        summary="List the LoRA files; they are not applied yet",
        returns=list[LoraItem],
    ),
    Operation(
        path="/sdapi/v1/refresh-loras",
        method="post",
        id="refresh_loras_sdapi_v1_refresh_loras_post",
        tag="catalogues",
        summary="Look for LoRA files again",
        returns=_NULL,
        errors=(429, 500),
    ),
    Operation(
        path="/sdapi/v1/hypernetworks",
        id="get_hypernetworks_sdapi_v1_hypernetworks_get",
        tag="catalogues",
        summary="List the hypernetwork files; they are not applied yet",
        returns=list[HypernetworkItem],
    ),
    Operation(
        path="/sdapi/v1/embeddings",
        id="get_embeddings_sdapi_v1_embeddings_get",
        tag="catalogues",
        summary="List the embeddings; they are not applied yet",
        returns=EmbeddingsResponse,
    ),
    Operation(
        path="/sdapi/v1/refresh-embeddings",
        method="post",
        id="refresh_embeddings_sdapi_v1_refresh_embeddings_post",
        tag="catalogues",
        summary="Look for embeddings again",
        returns=_NULL,
        errors=(429, 500),
    ),
    Operation(
        path="/sdapi/v1/scripts",
        id="get_scripts_list_sdapi_v1_scripts_get",
        tag="catalogues",
        summary="List the titles of the scripts that work here",
        returns=ScriptsList,
    ),
    Operation(
        path="/sdapi/v1/script-info",
        id="get_script_info_sdapi_v1_script_info_get",
        tag="catalogues",
        summary="List those scripts with their arguments",
        returns=list[ScriptInfo],
    ),
    Operation(
        path="/sdapi/v1/extensions",
        id="get_extensions_list_sdapi_v1_extensions_get",
        tag="catalogues",
        summary="List the extensions: none, as A1111's cannot run here",
        returns=list[ExtensionItem],
    ),
    Operation(
        path="/sdapi/v1/unload-checkpoint",
        method="post",
        id="unloadapi_sdapi_v1_unload_checkpoint_post",
        tag="system",
        summary="Free the checkpoint's memory; the next job loads it again",
        returns=_OBJECT,
        errors=(429, 500),
    ),
    Operation(
        path="/sdapi/v1/reload-checkpoint",
        method="post",
        id="reloadapi_sdapi_v1_reload_checkpoint_post",
        tag="system",
        summary="Load the chosen checkpoint now",
        returns=_OBJECT,
        errors=(429, 500, 507),
    ),
    Operation(
        path="/sdapi/v1/version",
        id="get_version_sdapi_v1_version_get",
        tag="system",
        summary="See which server this is, and which A1111 it speaks like",
        returns=AboutResponse,
    ),
    Operation(
        path="/internal/sysinfo",
        id="sysinfo_internal_sysinfo_get",
        tag="system",
        summary="See a report on server and machine, JSON as text",
        parameters=(Parameter("attachment", "Offer it as a file to keep.", "boolean", False),),
        returns="text/plain",
        errors=(422,),
    ),
    Operation(
        path="/internal/sysinfo-download",
        id="sysinfo_download_internal_sysinfo_download_get",
        tag="system",
        summary="The same as a file to keep",
        returns="text/plain",
    ),
    Operation(
        path="/sdapi/v1/server-stop",
        method="post",
        id="stop_webui_sdapi_v1_server_stop_post",
        tag="system",
        summary="Stop the server after what is under way (with --api-server-stop)",
        returns="text/plain",
        errors=(404,),
    ),
    Operation(
        path="/sdapi/v1/server-restart",
        method="post",
        id="restart_webui_sdapi_v1_server_restart_post",
        tag="system",
        summary="Stop the server and have it started again; an empty 501 where nobody would"
        " (with --api-server-stop)",
        returns="text/plain",
        errors=(404,),
    ),
    Operation(
        path="/sdapi/v1/server-kill",
        method="post",
        id="kill_webui_sdapi_v1_server_kill_post",
        tag="system",
        summary="End the server at once, without an answer (with --api-server-stop)",
        returns="text/plain",
        errors=(404,),
    ),
)
