"""What A1111's own API tests send, to a live server: 200 for each, and what was asked for.

Source: ../shared/golden/README.md, "Their own API tests". Over the fake backend here, and over the
shipped checkpoint in `make test-slow`.
"""

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from benchmarks import harness
from benchmarks.harness import Client
from tests.system.conftest import Serve

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
EXTRAS, PNG_INFO, OPTIONS = (
    "/sdapi/v1/extra-single-image", "/sdapi/v1/png-info", "/sdapi/v1/options",
)  # fmt: skip
SIDE = 64

COMMON: dict[str, Any] = {
    "prompt": "example prompt", "negative_prompt": "", "styles": [], "seed": -1, "subseed": -1,
    "subseed_strength": 0, "seed_resize_from_h": -1, "seed_resize_from_w": -1, "batch_size": 1,
    "n_iter": 1, "steps": 3, "cfg_scale": 7, "width": SIDE, "height": SIDE, "restore_faces": False,
    "tiling": False, "eta": 0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1,
    "override_settings": {}, "sampler_index": "Euler a",
}  # fmt: skip
FROM_TEXT = {
    **COMMON, "enable_hr": False, "denoising_strength": 0, "firstphase_width": 0,
    "firstphase_height": 0,
}  # fmt: skip
EVERY_BRACKET = (
    "example prompt, (emphasized), ((twice)), (weighed:1.3), [less], [[lesser]], [a:b:0.5],"
    " [added:2], [removed::2], [this|that], \\(literal\\), [a:(b:1.1):0.3] AND c:0.5 BREAK end"
)
#: (what, fields that are not usual, sizes of the pictures)
TEXT_KINDS: dict[str, tuple[dict[str, Any], list[tuple[int, int]]]] = {
    "plain": ({}, [(SIDE, SIDE)]),
    "negative prompt": ({"negative_prompt": "example negative prompt"}, [(SIDE, SIDE)]),
    "every bracket": ({"prompt": EVERY_BRACKET}, [(SIDE, SIDE)]),
    "twice as high": ({"height": 2 * SIDE}, [(SIDE, 2 * SIDE)]),
    "hires fix": ({"enable_hr": True, "denoising_strength": 0.5}, [(2 * SIDE, 2 * SIDE)]),
    "tiling": ({"tiling": True}, [(SIDE, SIDE)]),
    "PLMS": ({"sampler_index": "PLMS"}, [(SIDE, SIDE)]),
    "DDIM": ({"sampler_index": "DDIM"}, [(SIDE, SIDE)]),
    "UniPC": ({"sampler_index": "UniPC"}, [(SIDE, SIDE)]),
    "two batches": ({"n_iter": 2}, [(SIDE, SIDE)] * 2),
    "batch of two": ({"batch_size": 2}, [(SIDE, SIDE)] * 2),
}
LISTS = (
    "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-models", "sd-vae",
    "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "embeddings", "loras",
    "scripts", "script-info", "cmd-flags", "memory", "progress",
)  # fmt: skip


def png(picture: Image.Image, **texts: str) -> str:
    chunks, file = PngInfo(), io.BytesIO()
    for name, text in texts.items():
        chunks.add_text(name, text)
    picture.save(file, "PNG", pnginfo=chunks)
    return base64.b64encode(file.getvalue()).decode("ascii")


def drawing() -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), (40, 90, 160))
    ImageDraw.Draw(picture).ellipse((8, 8, 40, 40), fill=(230, 120, 30))
    return picture


def left_half() -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (0, 0, SIDE // 2, SIDE))
    return mask


FROM_PICTURE = {
    **COMMON, "init_images": [png(drawing())], "resize_mode": 0, "denoising_strength": 0.75,
    "mask": None, "mask_blur": 4, "inpainting_fill": 0, "inpaint_full_res": False,
    "inpaint_full_res_padding": 0, "inpainting_mask_invert": 0, "include_init_images": False,
}  # fmt: skip


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


def asked(port: int, path: str, body: object = None) -> Any:
    client = Client(port, timeout=300)
    reply = client.ask("GET" if body is None else "POST", path, body)
    client.close()
    assert reply.status == 200, reply.body
    return reply.json()


def pictures(port: int, path: str, body: object) -> list[Image.Image]:
    return [opened(each) for each in asked(port, path, body)["images"]]


@pytest.fixture(
    scope="module",
    params=["fake", pytest.param("starter", marks=[pytest.mark.slow, pytest.mark.torch])],
)
def port(
    request: pytest.FixtureRequest, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A server with the fake backend, or one with the shipped checkpoint."""
    if request.param == "fake":
        with serve() as port:
            yield port
        return
    data = harness.data_directory(tmp_path_factory.mktemp("starter"), harness.STARTER)
    with harness.server(data, "--threads", "1") as running:
        yield running.port


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_from_text(port: int, kind: str) -> None:
    fields, sizes = TEXT_KINDS[kind]
    options = {"override_settings": {"return_grid": False}} if len(sizes) > 1 else {}
    made = pictures(port, TXT2IMG, {**FROM_TEXT, **fields, **options})
    assert [each.size for each in made] == sizes
    assert all(len(each.getcolors(SIDE * SIDE * 4) or ()) != 1 for each in made)


def test_with_faces_restored(port: int) -> None:
    """On itself A1111 fails here without weights; we name what is missing."""
    client = Client(port, timeout=300)
    reply = client.ask("POST", TXT2IMG, {**FROM_TEXT, "restore_faces": True})
    client.close()
    if asked(port, "/sdapi/v1/face-restorers"):
        assert reply.status == 200, reply.body
    else:
        assert reply.status == 501
        assert "restore_faces" in reply.json()["detail"]


def test_from_a_picture(port: int) -> None:
    (made,) = pictures(port, IMG2IMG, FROM_PICTURE)
    assert made.size == (SIDE, SIDE)
    assert made.tobytes() != drawing().tobytes()


@pytest.mark.parametrize("inverted", [0, 1])
def test_under_a_mask(port: int, inverted: int) -> None:
    masked = {"mask": png(left_half()), "inpainting_mask_invert": inverted, "mask_blur": 0}
    (made,) = pictures(port, IMG2IMG, {**FROM_PICTURE, **masked})
    halves = (0, 0, SIDE // 2, SIDE), (SIDE // 2, 0, SIDE, SIDE)
    kept, repainted = (halves[1 - inverted], halves[inverted])
    assert made.crop(kept).tobytes() == drawing().crop(kept).tobytes()
    assert made.crop(repainted).tobytes() != drawing().crop(repainted).tobytes()


def test_by_the_script_sd_upscale(port: int) -> None:
    script = {"script_name": "sd upscale", "script_args": ["", 8, "Lanczos", 2.0]}
    (made,) = pictures(port, IMG2IMG, {**FROM_PICTURE, **script})
    assert made.size == (2 * SIDE, 2 * SIDE)


def test_extras(port: int) -> None:
    plain = {
        "resize_mode": 0, "show_extras_results": True, "gfpgan_visibility": 0,
        "codeformer_visibility": 0, "codeformer_weight": 0, "upscaling_resize": 2,
        "upscaling_resize_w": 128, "upscaling_resize_h": 128, "upscaling_crop": True,
        "upscaler_1": "Lanczos", "upscaler_2": "None", "extras_upscaler_2_visibility": 0,
        "image": png(drawing()),
    }  # fmt: skip
    answer = asked(port, EXTRAS, plain)
    assert opened(answer["image"]).size == (2 * SIDE, 2 * SIDE)
    done = "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos"
    assert answer["html_info"] == f"<p>{done}</p>"
    unchanged = asked(port, EXTRAS, {**plain, "upscaler_1": "None"})
    assert opened(unchanged["image"]).tobytes() == drawing().tobytes()


def test_png_info(port: int) -> None:
    infotext = "a cat\nSteps: 3, Sampler: Euler a, Seed: 7"
    told = asked(port, PNG_INFO, {"image": png(drawing(), parameters=infotext)})
    assert (told["info"], told["parameters"]["Seed"]) == (infotext, "7")


@pytest.mark.parametrize("name", LISTS)
def test_what_can_be_read(port: int, name: str) -> None:
    assert isinstance(asked(port, f"/sdapi/v1/{name}"), list | dict)


def test_options(port: int) -> None:
    before = asked(port, OPTIONS)["send_seed"]
    for wanted in (not before, before):
        assert asked(port, OPTIONS, {"send_seed": wanted}) is None
        assert asked(port, OPTIONS)["send_seed"] is wanted
