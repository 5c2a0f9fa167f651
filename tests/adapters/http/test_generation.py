"""`POST /sdapi/v1/txt2img`: spec api.md 5.5, 7.2, 9."""

import base64
import io
import json
import re
from collections.abc import Callable

import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.http.resources.generation import TextToImageResponse
from hexfusion.domain.generation import Txt2Img

PATH = "/sdapi/v1/txt2img"
#: Requests that give no id.
SAME_AS_NONE = ({}, {"force_task_id": None}, {"force_task_id": ""})


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def test_answers_with_pictures_the_request_and_the_info(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, json={"prompt": "é", "batch_size": 2, "steps": 3})
    assert list(result.json) == list(TextToImageResponse.__struct_fields__)
    first, second = map(picture, result.json["images"])
    assert (first.format, first.getpixel((0, 0)), second.getpixel((0, 0))) == (
        "PNG",
        (0, 0, 0),
        (1, 0, 0),
    )
    assert first.info["parameters"] == "é\nSteps: 3"
    assert result.json["parameters"]["batch_size"] == 2
    assert '"prompt":"é"' in result.text  # raw UTF-8, compact


def test_info_is_ascii_text_with_spaces_after_its_separators(client: testing.TestClient) -> None:
    info = client.simulate_post(PATH, json={"prompt": "é"}).json["info"]
    assert info.startswith('{"prompt": "\\u00e9", "all_prompts": ["\\u00e9"], ')
    assert info == json.dumps(json.loads(info))


def test_infotext_fills_what_the_json_leaves_out(client: testing.TestClient) -> None:
    """Spec api.md 10: null counts as present."""
    text = "a cat\nSteps: 3, Seed: 5, Size: 64x96, CFG scale: 2, Sampler: Euler a"
    given = {"infotext": text, "steps": None, "cfg_scale": 7.0}
    for body in (
        given,
        [list(pair) for pair in given.items()],
    ):  # an object, or pairs that spell it
        echo = client.simulate_post(PATH, json=body).json["parameters"]
        assert (echo["prompt"], echo["seed"], echo["height"]) == ("a cat", 5, 96)
        assert (echo["steps"], echo["cfg_scale"]) == (50, 7.0)
        assert echo["override_settings"] == {}


def test_infotext_that_does_not_fit_is_named(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, json={"infotext": "a cat\nSteps: x, Seed: 5, Size: 64x96"})
    assert result.status_code == 422
    (problem,) = result.json["detail"]
    assert problem["loc"] == ["body", "infotext"]
    assert problem["msg"] == "Steps: 'x' is not an integer"


def test_send_images_false_keeps_the_pictures_here(client: testing.TestClient) -> None:
    answer = client.simulate_post(PATH, json={"send_images": False}).json
    assert answer["images"] == []
    assert json.loads(answer["info"])["infotexts"]


@pytest.mark.parametrize(("option", "format"), [("jpg", "JPEG"), ("WEBP", "WEBP")])
def test_pictures_have_the_format_of_the_options(
    client: testing.TestClient, option: str, format: str
) -> None:
    client.simulate_post("/sdapi/v1/options", json={"samples_format": option})
    assert picture(client.simulate_post(PATH, json={}).json["images"][0]).format == format


def test_a_format_nobody_can_write(client: testing.TestClient) -> None:
    """A1111 makes the picture, and loses it with 500 (recording formats/t2i_tiff)."""
    result = client.simulate_post("/sdapi/v1/options", json={"samples_format": "avif"})
    assert result.status_code == 422
    (problem,) = result.json["detail"]
    assert problem["loc"] == ["body", "samples_format"]
    assert problem["msg"] == "must be one of: png, jpg, jpeg, webp; not 'avif'"
    assert client.simulate_post(PATH, json={}).status_code == 200


def test_without_infotext_if_the_options_say_so(client: testing.TestClient) -> None:
    client.simulate_post("/sdapi/v1/options", json={"enable_pnginfo": False})
    assert "parameters" not in picture(client.simulate_post(PATH, json={}).json["images"][0]).info


def test_tells_the_jobs_id(client: testing.TestClient) -> None:
    """Spec api.md 4."""
    given = client.simulate_post(PATH, json={"force_task_id": "mine"})
    assert given.headers["X-Task-Id"] == "mine"
    made = [client.simulate_post(PATH, json=body).headers["X-Task-Id"] for body in SAME_AS_NONE]
    assert all(re.fullmatch(r"task\(txt2img-[A-Z0-9]{7}\)", id) for id in made)
    assert len(set(made)) == len(made)


def test_an_id_with_line_breaks_forges_no_header(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, json={"force_task_id": "a\r\nSet-Cookie: b=ü"})
    assert result.status_code == 200
    assert "Set-Cookie" not in result.headers
    assert "\n" not in result.headers["X-Task-Id"]


class Watch:
    """What the use-case learns about its client."""

    def __init__(self) -> None:
        self.left = False
        self.gone: bool | None = None

    def __call__(self, request: Txt2Img, abandoned: Callable[[], bool]) -> None:
        self.left = True
        self.gone = abandoned()


@pytest.mark.parametrize(
    ("headers", "gone"),
    [({}, True), ({"X-Keep-Job": "false"}, True), ({"X-Keep-Job": "true"}, False)],
)
def test_a_client_that_left_is_noticed_unless_it_wants_its_job_kept(
    client: testing.TestClient, house, headers: dict[str, str], gone: bool
) -> None:
    house.on_txt2img = watch = Watch()
    client.simulate_post(
        PATH, json={}, headers=headers, extras={"waitress.client_disconnected": lambda: watch.left}
    )
    assert watch.gone is gone


def test_where_nobody_can_tell_the_client_is_there(client: testing.TestClient, house) -> None:
    house.on_txt2img = watch = Watch()
    client.simulate_post(PATH, json={})
    assert watch.gone is False


def test_a_header_with_a_word_that_is_no_boolean(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, json={}, headers={"X-Keep-Job": "perhaps"})
    assert result.status_code == 422
    assert result.json["detail"][0]["loc"] == ["header", "X-Keep-Job"]
