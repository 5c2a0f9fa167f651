"""The OpenAPI document and the pages that show it."""

import json
import os
import re
from typing import Any

import pytest
from falcon import testing

from hexfusion import bootstrap
from hexfusion.adapters.http.access.gate import OPEN
from hexfusion.adapters.http.app import routes
from hexfusion.adapters.http.documents import openapi
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.job_limits import JobLimits
from hexfusion.domain.options import REGISTRY


@pytest.fixture
def document(client: testing.TestClient) -> dict[str, Any]:
    return client.simulate_get("/openapi.json").json


def test_describes_every_route_and_no_other(house) -> None:
    served = {
        (path, method)
        for path, resource in routes(house.services(), "0").items()
        for method in ("get", "post", "delete")
        if hasattr(resource, f"on_{method}")
    }
    assert served == {(each.path, each.method) for each in openapi.OPERATIONS}


def test_is_valid(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "1.2.3"


def test_every_field_of_a_request_has_its_description_and_default(
    document: dict[str, Any],
) -> None:
    schema = document["components"]["schemas"]["StableDiffusionProcessingTxt2Img"]
    assert list(schema["properties"]) == list(Txt2Img.__struct_fields__)
    for field in schema["properties"].values():
        assert field["description"]
        assert "default" in field
    assert schema["properties"]["steps"]["default"] == 50
    assert schema["properties"]["width"]["maximum"] == 4096


@pytest.mark.parametrize("name", ["Txt2Img", "Img2Img"])
def test_fields_tell_the_bounds_in_force(name) -> None:
    """A lower bound of the field itself stays."""
    limits = JobLimits(pictures=100, steps=7, prompt=2048)
    document = openapi.document("0", maxima=limits.maxima())
    fields = document["components"]["schemas"][f"StableDiffusionProcessing{name}"]["properties"]
    assert (fields["batch_size"]["maximum"], fields["n_iter"]["maximum"]) == (100, 100)
    assert (fields["steps"]["maximum"], fields["width"]["maximum"]) == (7, 4096)
    assert fields["prompt"]["maxLength"] == fields["negative_prompt"]["maxLength"] == 2048
    text, null = fields["infotext"]["anyOf"]
    assert (text["maxLength"], null) == (5 * 2048, {"type": "null"})
    whole = openapi.document("0", maxima=JobLimits().maxima())["components"]["schemas"]
    fields = whole[f"StableDiffusionProcessing{name}"]["properties"]
    assert (fields["batch_size"]["maximum"], fields["n_iter"]["maximum"]) == (128, 1000)


def test_the_server_tells_those_of_its_flags(tmp_path) -> None:
    given = ["--data-dir", str(tmp_path), "--backend", "fake", "--job-pictures", "9"]
    flags = bootstrap.parse_flags([*given, "--prompt-size", "3"], {}, absolute=os.path.abspath)
    client = testing.TestClient(bootstrap.build_app(bootstrap.assemble(flags)))
    schemas = client.simulate_get("/openapi.json").json["components"]["schemas"]
    fields = schemas["StableDiffusionProcessingTxt2Img"]["properties"]
    assert (fields["n_iter"]["maximum"], fields["prompt"]["maxLength"]) == (9, 3072)
    refused = client.simulate_post("/sdapi/v1/txt2img", json={"n_iter": 5, "batch_size": 2})
    assert refused.status_code == 422
    assert refused.json["detail"][0]["loc"] == ["body", "n_iter"]
    assert refused.json["detail"][0]["msg"].endswith("(--job-pictures)")


def test_the_server_bounds_the_values_of_a_body(tmp_path) -> None:
    given = ["--data-dir", str(tmp_path), "--backend", "fake", "--body-values", "20"]
    flags = bootstrap.parse_flags(given, {}, absolute=os.path.abspath)
    client = testing.TestClient(bootstrap.build_app(bootstrap.assemble(flags)))
    for count, status in ((18, 422), (19, 413)):  # and two brackets
        answer = client.simulate_post(
            "/sdapi/v1/txt2img", json={"script_args": [0] * count, "steps": 0}
        )
        assert answer.status_code == status
    assert "at most 20 values (--body-values)" in answer.json["detail"]


def test_every_option_has_its_description_and_default(document: dict[str, Any]) -> None:
    options = document["components"]["schemas"]["Options"]["properties"]
    assert options.keys() == {key for key, each in REGISTRY.items() if not each.web_ui_only}
    assert all(each["description"] and "default" in each for each in options.values())
    assert options["jpeg_quality"]["default"] == 80


def test_the_example_of_a_request_works(
    client: testing.TestClient, document: dict[str, Any]
) -> None:
    body = document["paths"]["/sdapi/v1/txt2img"]["post"]["requestBody"]
    example = body["content"]["application/json"]["example"]
    assert client.simulate_post("/sdapi/v1/txt2img", json=example).status_code == 200


def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    named = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
    assert set(named) <= document["components"]["schemas"].keys()


def test_txt2img_tells_what_can_go_wrong(document: dict[str, Any]) -> None:
    answers = document["paths"]["/sdapi/v1/txt2img"]["post"]["responses"]
    assert answers.keys() == {
        *("200", "202", "400", "401", "409", "413", "422", "429", "500", "501", "503", "507")
    }
    assert "Retry-After" in answers["429"]["headers"]


def test_says_which_routes_may_ask_who_calls(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {name: each["scheme"] for name, each in schemes.items()} == {
        "HTTPBasic": "basic",
        "HTTPBearer": "bearer",
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path in OPEN:
                assert "security" not in operation and "401" not in operation["responses"]
            else:
                assert operation["security"] == [{}, {"HTTPBasic": []}, {"HTTPBearer": []}]
                assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


def test_keeps_a1111s_ids(shared, document: dict[str, Any]) -> None:
    """Clients generated from A1111's document find the same operations here."""
    theirs = json.loads((shared / "golden" / "openapi.json").read_text())["paths"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path in theirs:
                assert operation["operationId"] == theirs[path][method]["operationId"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_need_nothing_from_outside(client: testing.TestClient, path: str) -> None:
    result = client.simulate_get(path)
    assert result.headers["Content-Type"].startswith("text/html")
    outside_scripts = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", "", result.text, flags=re.S)
    assert "http" not in outside_scripts.replace("http://www.w3.org/2000/svg", "")
    assert "openapi.json" in result.text
    policy = result.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy  # ReDoc reports every view to its makers
    assert "http" not in policy


def test_swagger_asks_no_public_validator(client: testing.TestClient) -> None:
    assert "validatorUrl: null, dom_id" in client.simulate_get("/docs").text


@pytest.mark.parametrize(
    "path",
    [
        "options",
        "reload-checkpoint",
        "unload-checkpoint",
        "refresh-checkpoints",
        "refresh-vae",
        "refresh-loras",
        "refresh-embeddings",
    ],
)
def test_says_where_one_may_be_told_to_wait(document: dict[str, Any], path: str) -> None:
    operations = [each for each in openapi.OPERATIONS if each.path == f"/sdapi/v1/{path}"]
    assert [429 in each.errors for each in operations if each.method == "post"] == [True]
    told = document["paths"][f"/sdapi/v1/{path}"]["post"]["responses"]["429"]
    assert "checkpoint to load" in told["description"]
    assert told["headers"]["Retry-After"]["schema"] == {"type": "integer"}
