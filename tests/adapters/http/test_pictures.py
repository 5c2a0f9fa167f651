"""`POST /sdapi/v1/png-info`: how pictures are given (spec api.md 7.1, 12.2)."""

import base64
import io

import pytest
from falcon import testing
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PATH = "/sdapi/v1/png-info"


@pytest.fixture
def picture() -> str:
    text = PngInfo()
    text.add_text("parameters", "a cat\nSteps: 5, Sampler: Euler, Seed: 3")
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=text)
    return base64.b64encode(file.getvalue()).decode()


def wrapped(text: str) -> str:
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        wrapped,
        lambda text: f"  {text}\n",
        lambda text: text.replace("A", "A!"),  # outside the alphabet: passed over
        lambda text: f"data:image/png;base64,{text}",
        lambda text: f"data:image/png;base64,{wrapped(text)}",
        lambda text: f"data:image/jpeg;base64,{text};more",
    ],
)
def test_every_spelling_of_a_picture_is_read(client: testing.TestClient, picture, spelling) -> None:
    answer = client.simulate_post(PATH, json={"image": spelling(picture)}).json
    assert list(answer) == ["info", "items", "parameters"]
    assert answer["info"].startswith("a cat\n")
    assert answer["parameters"]["Seed"] == "3"


@pytest.mark.parametrize(
    "image",
    [
        "aGVsbG8gd29ybGQ=",  # "hello world"
        "AAAAA",
        "é",
        "data:image/png",
        "data:image/png;base64",
        "data:image/png;base64,AAAA",
        "data:application/octet-stream;base64,AAAA",
    ],
)
def test_what_is_no_picture_is_the_clients_mistake(client: testing.TestClient, image: str) -> None:
    """A1111 answers 500, for the shorter data URIs with an IndexError."""
    result = client.simulate_post(PATH, json={"image": image})
    assert result.status_code == 422
    assert result.json["detail"] == [
        {"loc": ["body", "image"], "msg": "Invalid encoded image", "type": "value_error"}
    ]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x.png", "https://example.org/x.png"])
def test_nothing_is_fetched(client: testing.TestClient, address: str) -> None:
    """As A1111 answers where option api_enable_requests is off."""
    result = client.simulate_post(PATH, json={"image": address})
    assert result.status_code == 500
    assert result.json == {
        "error": "HTTPException",
        "detail": "Requests not allowed",
        "body": "",
        "errors": "",
    }
