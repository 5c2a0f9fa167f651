"""`POST /sdapi/v1/img2img` on the wire. Source: spec api.md 6 and 7.1."""

import io
import json
from base64 import b64decode, b64encode

import pytest
from PIL import Image


def encoded(image: Image.Image, format: str = "PNG", **how: object) -> str:
    file = io.BytesIO()
    image.save(file, format, **how)
    return b64encode(file.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(b64decode(text)))


RED = encoded(Image.new("RGB", (6, 4), "red"))


def post(client, **body):
    result = client.simulate_post("/sdapi/v1/img2img", json=body)
    return result.status_code, result.json


def test_pictures_and_mask_are_opened_in_order(client):
    """Base64 with and without padding or line breaks, data URIs (recordings errors/i2i_b64_*)."""
    blue, mask = encoded(Image.new("RGB", (6, 4), "blue")), encoded(Image.new("L", (6, 4), 9))
    broken = "\n".join(RED[i : i + 20] for i in range(0, len(RED), 20))
    uri = f"data:image/png;base64,{blue}"
    status, answer = post(client, init_images=[broken, uri], mask=mask)
    assert status == 200
    colours = [opened(each).convert("RGB").getpixel((0, 0)) for each in answer["images"]]
    assert colours == [(255, 0, 0), (0, 0, 255), (9, 9, 9)]
    assert "parameters" not in opened(answer["images"][2]).info


def test_the_echo_has_every_field_in_order(client, shared):
    """Recording default/img2img_minimal."""
    case = json.loads((shared / "golden/default/img2img_minimal.json").read_text())
    _, answer = post(client, init_images=[RED])
    assert list(answer["parameters"]) == list(case["body"]["parameters"])
    assert answer["parameters"]["denoising_strength"] == 0.75


def test_a_picture_stands_the_right_way_up(client):
    """Spec api.md 7.1: EXIF turns it, and a colour may mean transparency."""
    exif = Image.Exif()
    exif[0x0112] = 6
    _, answer = post(client, init_images=[encoded(Image.new("RGB", (6, 4)), "JPEG", exif=exif)])
    assert opened(answer["images"][0]).size == (4, 6)
    palette = Image.new("P", (2, 2))
    palette.putpalette([0, 0, 0, 255, 255, 255] * 128)
    palette.putpixel((0, 0), 1)
    clear = encoded(palette, transparency=bytes([0, 128]))
    _, answer = post(client, init_images=[clear])
    assert opened(answer["images"][0]).mode == "RGBA"


def test_without_a_picture(client):
    """Recordings errors/i2i_none and i2i_null."""
    failure = {"error": "HTTPException", "detail": "Init image not found", "body": "", "errors": ""}
    assert post(client, prompt="x") == (404, failure)
    assert post(client, init_images=None) == (404, failure)


CUT = b64encode(b64decode(RED)[:50]).decode()


@pytest.mark.parametrize("field", ["init_images", "mask"])
@pytest.mark.parametrize(
    "text", ["!!!notbase64", "AAAA", "aGVsbG8gd29ybGQ=", "", CUT, "data:image/png"]
)
def test_what_is_no_picture_is_named(client, field, text):
    """Recordings errors/i2i_bad64 and others: A1111 answers 500."""
    body = {"init_images": [RED], "mask": text} if field == "mask" else {"init_images": [text]}
    status, answer = post(client, **body)
    assert (status, answer["detail"][0]["loc"]) == (422, ["body", field])


@pytest.mark.parametrize("item", [5, None, {"a": 1}, [RED]])
def test_what_is_no_text_is_named(client, item):
    status, answer = post(client, init_images=[item])
    assert (status, answer["detail"][0]["loc"]) == (422, ["body", "init_images"])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", "abc", "value is not a valid integer"),
        ("denoising_strength", None, "none is not an allowed value"),
        ("denoising_strength", "abc", "value is not a valid float"),
        ("init_images", "abc", "value is not a valid list"),
    ],
)
def test_mistakes_are_named(client, field, value, message):
    """Recordings errors/i2i_denoise_null, i2i_str."""
    status, answer = post(client, **{"init_images": [RED], field: value})
    assert (status, answer["detail"][0]["msg"]) == (422, message)


def test_an_address_is_fetched(client, house):
    house.behind = lambda url: b64decode(RED)
    house.update({"api_forbid_local_requests": False})
    status, answer = post(client, init_images=["http://example.org/red.png"])
    assert (status, opened(answer["images"][0]).size) == (200, (6, 4))
