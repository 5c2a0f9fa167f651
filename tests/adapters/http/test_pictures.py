"""`POST /sdapi/v1/png-info`: how pictures are given (spec api.md 7.1, 12.2)."""

import base64
import io
import struct
import zlib

import pytest
from falcon import testing
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hexfusion.application.ports.download import LocalResource, TooManyDownloads

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


ADDRESS = "https://a.test/x.png"


def refused(detail: str) -> dict[str, str]:
    return {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}


def test_a_picture_may_be_named_by_its_address(client: testing.TestClient, house, picture) -> None:
    house.behind = lambda url: base64.b64decode(picture)
    answer = client.simulate_post(PATH, json={"image": f" {ADDRESS}\n"}).json
    assert answer["info"].startswith("a cat\n")
    assert house.heard == [("download", ADDRESS, True, "")]


def test_nothing_is_fetched_where_the_option_is_off(client: testing.TestClient, house) -> None:
    house.update({"api_enable_requests": False})
    result = client.simulate_post(PATH, json={"image": ADDRESS})
    assert (result.status_code, result.json) == (500, refused("Requests not allowed"))
    assert house.heard == []


def test_clients_cannot_turn_it_on(client: testing.TestClient, house) -> None:
    """As A1111, which ignores them in silence (spec api.md 13.2)."""
    house.update({"api_enable_requests": False})
    client.simulate_post(
        "/sdapi/v1/options",
        json={"api_enable_requests": True, "api_forbid_local_requests": False},
    )
    assert not house.snapshot().flag("api_enable_requests")
    assert house.snapshot().flag("api_forbid_local_requests")


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (LocalResource(), 500, "Request to local resource not allowed"),
        (TooManyDownloads(5), 429, "too many pictures are being fetched; try again in 5 s"),
    ],
)
def test_what_must_not_be_fetched(client, house, error, status, detail) -> None:
    """The first as recorded: errors/i2i_http, errors/i2i_http_ext."""

    def fail(url: str) -> bytes:
        raise error

    house.behind = fail
    result = client.simulate_post(PATH, json={"image": "http://127.0.0.1:1/x.png"})
    assert (result.status_code, result.json) == (status, refused(detail))
    assert result.headers.get("Retry-After") == ("5" if status == 429 else None)


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""
    file = io.BytesIO()
    Image.new("1", (1, 1)).save(file, "PNG")
    png = bytearray(file.getvalue())
    png[16:24] = struct.pack(">LL", width, height)
    png[29:33] = struct.pack(">L", zlib.crc32(bytes(png[12:29])))
    return bytes(png)


@pytest.mark.parametrize("size", [(100_000, 100_000), (8193, 8192), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("by_address", [True, False])
def test_bombs_are_refused(client, house, size: tuple[int, int], by_address: bool) -> None:
    house.behind = lambda url: claiming(*size)
    image = ADDRESS if by_address else base64.b64encode(claiming(*size)).decode()
    result = client.simulate_post(PATH, json={"image": image})
    assert result.status_code == 422
    assert result.json["detail"][0]["msg"].endswith("67108864 pixels")


def test_what_was_fetched_is_no_picture(client: testing.TestClient, house) -> None:
    """A1111 answers 500."""
    house.behind = lambda url: b"<!doctype html>"
    result = client.simulate_post(PATH, json={"image": ADDRESS})
    assert (result.status_code, result.json["detail"][0]["loc"]) == (422, ["body", "image"])
