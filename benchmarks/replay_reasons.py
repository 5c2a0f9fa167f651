"""What `benchmarks.replay` needs to know of the recordings: how the server that answered them was
started, what was sent before, and where another answer is meant or has to wait.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

_USERS = ("--api-auth", "user:pass,u2:p2")

#: Flags of the recorded server, by section or by the start of the name.
FLAGS: Mapping[str, Sequence[str]] = {
    "get": ("--port", "7861", "--server-name", "127.0.0.1", "--use-cpu", "all", "--no-half"),
    "auth": _USERS,
    "cors/cors": (*_USERS, "--cors-allow-origins", "http://allowed.test"),
}

#: Recordings that were made one after the other: what was sent before.
BEFORE: Mapping[str, Sequence[str]] = {
    "formats/t2i_jpg": ("formats/set_jpg",),
    "formats/t2i_webp": ("formats/set_webp",),
    "formats/t2i_tiff": ("formats/set_tiff",),
    "formats/extra_jpg": ("formats/set_jpg",),
    "formats/extra_webp": ("formats/set_webp",),
    "formats/extra_tiff": ("formats/set_tiff",),
    "rest/after_ckpt_b": ("rest/opt_ckpt_b",),
    "rest/after_vae": ("rest/opt_vae",),
    "rest/opt_ckpt_b_after": ("rest/opt_ckpt_b",),
    "rest/opt_oor_after": ("rest/opt_oor",),
    "rest/after_oor": ("rest/opt_oor",),
    "rest/opt_strnum_after": ("rest/opt_strnum",),
    "rest/after_unload": ("rest/unload",),
    "webui/progress_finished": ("webui/minimal",),
}

Json = Mapping[str, Any]


class Case(Protocol):
    """What is looked at of a recording."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def status(self) -> int: ...


_LATER = {
    "/sdapi/v1/create/embedding": "creating embeddings",
    "/sdapi/v1/create/hypernetwork": "creating hypernetworks",
    "/sdapi/v1/train/embedding": "training",
    "/sdapi/v1/train/hypernetwork": "training",
}


#: Recordings of the script X/Y/Z plot.
_XYZ = ("scripts/", "xyz/", "starter/xyz_")


def later(case: Case, status: int) -> str | None:
    """Which engine a recording waits for, if one is not there."""
    if status == 501:
        return _LATER.get(case.path)
    if status == 422 and case.status == 200 and case.name.startswith(_XYZ):
        return "script X/Y/Z plot"
    return None


#: By recording (or a pattern of names): our status, and why. The reasons are the README's.
_STATUS: Mapping[str, tuple[int, str]] = {
    "auth/*_loras": (401, "/loras and /refresh-loras ask for a login like every route"),
    "auth/*_badjson": (401, "who may not call is told so before the body is read"),
    "*/*_internal_ping": (200, "/internal/ping answers without a web UI too"),
    "auth/none_ping": (200, "/internal/ping answers without a web UI too"),
    "*/*bad_sampler*": (400, "an unknown sampler is 400, not silently another one"),
    "errors/sampler_int": (400, "an unknown sampler is 400, not silently another one"),
    "names/*_Nope*": (400, "an unknown sampler is 400, not silently another one"),
    "default/null_fields": (200, "null stands for the default"),
    "errors/steps_null": (200, "null stands for the default"),
    "*/trailing_slash": (200, "a trailing slash is served, not redirected"),
    "*/*_sdapi_v1_samplers": (200, "a trailing slash is served, not redirected"),
    "errors/double_slash": (200, "a slash that came twice, after a base URL, is one"),
    "get/head_progress": (200, "HEAD is answered like GET"),
    "errors/i2i_resize9": (422, "a resize mode that there is not is 422"),
    "errors/hr_bad_upscaler": (404, "an unknown upscaler is 404 naming it, not a crash"),
    "rest/ex_bad_upscaler*": (404, "an unknown upscaler is 404 naming it, not a crash"),
    "hires/up_Bogus": (404, "an unknown upscaler is 404 naming it, not a crash"),
    "fields/infotext*": (200, "an infotext with hires fix makes its picture, not a crash"),
    "rest/opt_wrongtype_after": (200, "a wrong option was refused, so GET /options works"),
    "rest/after_oor": (200, "a CLIP skip of 99 was refused, so the next job runs"),
    "formats/*_tiff": (200, "a format that there is not was refused, so the next job runs"),
    "options/fmt_bad": (422, "a format that there is not is refused, asked for or not"),
    "webui/progress_empty": (200, "/internal/progress without an id works from the start"),
    "webui/get_internal_profile_startup": (404, "how long A1111's parts take to start"),
    "options/taesd": (200, "their server could not fetch TAESD's file"),
    "img2img/vae_enc_taesd": (200, "their server could not fetch TAESD's file"),
    "rest/interrogate_dd": (200, "it had no DeepDanbooru; the fake backend has tags"),
    "rest/opt_hash": (500, "tiny_b, whose hash it is, did not travel with the recordings"),
}

#: By recording: what begins each difference of shape, and why.
_SHAPE: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("*openapi*", ("body.",), "the document is ours: benchmarks.openapi_diff compares it"),
    ("auth/*_loras", ("body[0].metadata: members in another order",), "the order was chance"),
    ("*/prompt_missing_seed_null", ("body.parameters.seed",), "null stands for the default"),
    ("get/sdapi_v1_realesrgan_models", ("body: 0 items",), "lists hold what works here"),
    ("get/sdapi_v1_upscalers", ("body: 3 items",), "lists hold what works here"),
    ("get/sdapi_v1_script_info", ("body: ", "body[]."), "lists hold what works here"),
    (
        "get/sdapi_v1_scripts",
        ("body.txt2img: ", "body.img2img: "),
        "lists hold what works here",
    ),
    ("*/*hypernetworks*", ("body: 3 items",), "the folder holds files that were made later"),
    ("*", ("body.info.comments: not theirs",), "a network that is not there is told, not skipped"),
    ("*/embeddings_after", ("body.loaded.",), "they were made by create/embedding"),
)

_FACT = "body.info.extra_generation_params."
_BACKEND = tuple(
    _FACT + key for key in ("Refiner", "NGMS", "Pad conds", "TI hashes", "Lora hashes")
)


def meant(case: Case, status: int, wrong: Sequence[str]) -> str | None:
    """Why our other answer is meant, if it is."""
    if status != case.status:
        return _meant_status(case, status)
    for pattern, beginnings, reason in _SHAPE:
        if fnmatchcase(case.name, pattern) and all(each.startswith(beginnings) for each in wrong):
            return reason
    if all(each.startswith(_BACKEND) for each in wrong):
        return "what the real backend alone can tell: benchmarks.fidelity compares it"
    return None


def _meant_status(case: Case, status: int) -> str | None:
    for pattern, (expected, reason) in _STATUS.items():
        if fnmatchcase(case.name, pattern) and status == expected:
            return reason
    if status == 422 and case.status == 500:
        return "what makes no sense is 422 naming the field, not a crash"
    if status == 422 and case.path.endswith("/options"):
        return "an option that is not admitted is refused, not stored"
    return None
