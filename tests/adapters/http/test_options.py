"""`/options`: spec api.md 13, and what happens to values of wrong types."""

from falcon import testing

PATH = "/sdapi/v1/options"


def test_reads_every_option(client: testing.TestClient) -> None:
    options = client.simulate_get(PATH).json
    assert options["samples_format"] == "png"
    assert options["jpeg_quality"] == 80


def test_changes_and_reads_back(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, json={"jpeg_quality": 91, "samples_format": "jpg"})
    assert (result.status_code, result.text) == (200, "null")
    options = client.simulate_get(PATH).json
    assert (options["jpeg_quality"], options["samples_format"]) == (91.0, "jpg")


def test_a_wrong_type_changes_nothing(client: testing.TestClient) -> None:
    before = client.simulate_get(PATH).json
    result = client.simulate_post(PATH, json={"samples_format": "jpg", "jpeg_quality": "much"})
    assert result.status_code == 422
    assert result.json["detail"][0]["loc"] == ["body", "jpeg_quality"]
    assert client.simulate_get(PATH).json == before


def test_nan_is_no_value(client: testing.TestClient) -> None:
    result = client.simulate_post(PATH, body='{"jpeg_quality": NaN}')
    assert result.status_code == 422
    assert result.json["detail"][0]["type"] == "type_error.float"
