"""Whatever options a client sets: refused by name at once, or no job fails for it (ADR 23).

A whole server in this process, on the fake backend. For each value: it is set, then pictures are
made, enlarged, captioned, shown under way; the same again as an override of one request.
"""

import base64
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from falcon.testing import Result, TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.domain.options import REGISTRY, Option
from hexfusion.domain.upscalers import IMAGE_UPSCALERS

#: Options that name what there is, and what a request is told that needs it and finds it not there.
#: As an override they are looked at by the jobs that use them.
NAMED = {
    "face_restoration": "restore_faces",
    "face_restoration_model": "restore_faces",
    "font": "font",
    "upscaler_for_img2img": "not found",
    "sd_vae": "not found",
}

READ = sorted(
    (each for each in REGISTRY.values() if not each.without_effect), key=lambda option: option.key
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    folder = data / "models/Stable-diffusion"
    folder.mkdir(parents=True)
    save_file({"weight": np.arange(100, dtype=np.float32)}, folder / "sound.safetensors")
    flags = bootstrap.parse_flags(
        ["--data-dir", str(data), "--ckpt", str(folder / "sound.safetensors")],
        {},
        absolute=os.path.abspath,
    )
    container = bootstrap.assemble(flags, backend=FakeInference(0.0, read_file))
    yield TestClient(bootstrap.build_app(container))


def picture() -> str:
    file = io.BytesIO()
    Image.new("RGBA", (48, 40), (200, 30, 30, 100)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


SMALL = {"prompt": "a (cat:1.2)", "seed": 1, "steps": 2, "width": 64, "height": 64}
PICTURE = picture()

#: What is asked of a server with the option. Two pictures make a grid, files are written.
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/sdapi/v1/txt2img", {**SMALL, "n_iter": 2, "save_images": True}),
    (
        "/sdapi/v1/txt2img",
        {
            **SMALL,
            "enable_hr": True,
            "denoising_strength": 0.5,
            "sampler_name": "DDIM",
            "script_name": "Prompt matrix",
            "script_args": [False, False, "positive", "comma", 0],
            "prompt": "a|b",
        },
    ),
    (
        "/sdapi/v1/img2img",
        {**SMALL, "init_images": [PICTURE], "width": 96, "height": 80, "save_images": True},
    ),
    ("/sdapi/v1/extra-single-image", {"image": PICTURE, "upscaler_1": "Lanczos"}),
    ("/sdapi/v1/interrogate", {"image": PICTURE, "model": "clip"}),
    ("/internal/progress", {"id_task": "x", "live_preview": True}),
)


def post(client: TestClient, path: str, body: object) -> Result:
    return client.simulate_post(path, json=body)


def refused_by_name(result: Result, key: str) -> bool:
    told = NAMED.get(key, key)
    return result.status_code in (404, 422, 501) and (key in result.text or told in result.text)


def holds(client: TestClient, key: str, value: object) -> None:
    """Set the option, ask for everything, and set it back."""
    answer = post(client, "/sdapi/v1/options", {key: value})
    try:
        if answer.status_code == 200:
            assert client.simulate_get("/sdapi/v1/options").status_code == 200
            assert client.simulate_get("/sdapi/v1/progress").status_code == 200
            assert client.simulate_get("/sdapi/v1/script-info").status_code == 200
            for path, body in JOBS:
                made = post(client, path, body)
                assert made.status_code == 200 or refused_by_name(made, key), (path, made.text)
        else:
            assert refused_by_name(answer, key) or key == "sd_model_checkpoint", answer.text
            assert len(answer.text) < 1000 or key == "sd_model_checkpoint"
    finally:
        assert post(client, "/sdapi/v1/options", {key: None}).status_code == 200
    made = post(client, "/sdapi/v1/txt2img", {**SMALL, "override_settings": {key: value}})
    if key != "sd_model_checkpoint":
        assert made.status_code == 200 or refused_by_name(made, key), made.text
        if answer.status_code == 422 and key not in NAMED:
            assert made.status_code == 422


def ends(option: Option) -> Iterator[object]:
    """The values at the edge of what is admitted, which must do no harm."""
    if option.admitted:
        yield from option.admitted
        yield from option.also
    yield from option.choices if option.kind == "str" else ()
    match option.kind:
        case "bool":
            yield not option.default
        case "list":
            yield ["x"] * 1000
            yield ["x" * 1024]
            yield ["jpeg_quality", "clip_skip", "forge_preset", "nope", "nope"]
        case "str" if not option.choices:
            yield from (
                "",
                "x" * option.longest,
                "[" * 300 + "]",
                "[datetime<%><Mars>]",
                "\\0",
                "/",
            )


@pytest.mark.parametrize("option", READ, ids=lambda option: option.key)
def test_the_edges_of_what_is_admitted_do_no_harm(client: TestClient, option: Option) -> None:
    for value in ends(option):
        holds(client, option.key, value)


WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.text("[]<>%/\\.a#0", max_size=30)
    | st.sampled_from(
        [
            "avif",
            "jpg",
            "#fff",
            "CPU",
            "../x",
            "/etc",
            "~",
            "1e400",
            "-0",
            "[date]",
            "None",
            "[none]",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(REGISTRY)), WILD)
@example("samples_format", "avif")
@example("samples_format", "JPG")
@example("randn_source", "dice")
@example("sd_noise_schedule", "Linear")
@example("CLIP_stop_at_last_layers", 0)
@example("CLIP_stop_at_last_layers", -3)
@example("token_merging_ratio", 1.5)
@example("outdir_txt2img_samples", "/elsewhere")
@example("upscaler_for_img2img", "Bogus")
@example("upscaler_for_img2img", IMAGE_UPSCALERS[1])
@example("face_restoration_model", "None")
@example("font", "/etc/passwd")
@example("sd_vae", "nope.pt")
@example("extra_options_txt2img", ["nope", "samples_format", "samples_format"])
@example("ESRGAN_tile_overlap", 190)
@example("samples_filename_pattern", "[datetime<%Q%>]%[prompt_hash<99999999999>]")
@example("infotext_skip_pasting", ["Prompt", "Steps", "Sampler"])
@example("postprocessing_operation_order", ["Upscale", "nope", "Upscale"])
@example("sd_lora", "nope")
@example("interrogate_clip_skip_categories", ["artists"])
def test_any_value_of_any_option(client: TestClient, key: str, value: object) -> None:
    if REGISTRY[key].unstorable or REGISTRY[key].api_restricted:
        return
    holds(client, key, value)


def test_thirty_megabytes_are_not_stored(client: TestClient) -> None:
    long = "x" * 30_000_000
    for key in ("font", "localization", "samples_filename_pattern", "sd_vae", "hide_samplers"):
        body = {key: [long] if key == "hide_samplers" else long}
        answer = post(client, "/sdapi/v1/options", body)
        assert refused_by_name(answer, key)
        assert len(answer.text) < 1000
    many = {f"prioritized_callbacks_{number}": ["y" * 1000] * 100 for number in range(30)}
    answer = post(client, "/sdapi/v1/options", many)
    assert answer.status_code == 422
    assert "at most 1048576 are kept" in answer.text
    assert post(client, "/sdapi/v1/options", {"prioritized_callbacks_0": ["a"]}).status_code == 200


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("forge_inference_memory", 1024),
        ("forge_preset", "flux"),
        ("clip_skip", 2),
        ("quicksettings", "sd_model_checkpoint, sd_vae"),
        ("quicksettings_list", ["sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"]),
        ("diffusers_offload_mode", "balanced"),
        ("sd_model_refiner", "None"),
        ("control_net_unit_count", 3),
    ],
)
def test_other_servers_options_are_taken(client: TestClient, key: str, value: object) -> None:
    assert post(client, "/sdapi/v1/options", {key: value}).status_code == 200
    asked = {**SMALL, "override_settings": {key: value}}
    assert post(client, "/sdapi/v1/txt2img", asked).status_code == 200
    post(client, "/sdapi/v1/options", {key: None})


def test_an_option_that_nobody_knows_is_the_requests_fault(client: TestClient) -> None:
    """Spec api.md 13.2: A1111 answers with 500 and this body."""
    answer = post(client, "/sdapi/v1/options", {"no_such_key": 1})
    assert (answer.status_code, answer.json["error"]) == (422, "KeyError")
    assert answer.json["errors"] == "'no_such_key'"
    asked = {**SMALL, "override_settings": {"no_such_key": 1}}
    assert post(client, "/sdapi/v1/txt2img", asked).status_code == 422


def test_all_that_is_read_may_be_sent_back(client: TestClient) -> None:
    """What clients do that change one option of the whole."""
    everything = client.simulate_get("/sdapi/v1/options").json
    everything["jpeg_quality"] = 91
    assert post(client, "/sdapi/v1/options", everything).status_code == 200
    assert client.simulate_get("/sdapi/v1/options").json["jpeg_quality"] == 91
