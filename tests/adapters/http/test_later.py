"""Routes whose engine is not there: mistakes are named as A1111 names them, the rest is 501.

Source: spec api.md 15.
"""

import pytest


def post(client, path, **body):
    result = client.simulate_post(f"/sdapi/v1/{path}", json=body)
    return result.status_code, result.json


def failure(detail):
    return {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("create/embedding", {"name": "x"}, "create/embedding"),
        ("create/hypernetwork", {}, "create/hypernetwork"),
        ("train/embedding", {}, "train/embedding"),
        ("train/hypernetwork", {}, "train/hypernetwork"),
    ],
)
def test_not_yet(client, path, body, what):
    assert post(client, path, **body) == (501, failure(f"{what}: not available yet"))


@pytest.mark.parametrize("path", ["create/embedding", "train/hypernetwork"])
def test_a_body_that_is_no_object(client, path):
    result = client.simulate_post(f"/sdapi/v1/{path}", json="text")
    assert result.status_code == 422
    assert result.json["detail"][0]["msg"] == "value is not a valid dict"
