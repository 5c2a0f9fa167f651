"""docs/adding-a-parameter.md, done: its diff makes a field that reaches the denoiser."""

import pytest

USE = """
replies = [made(**fields) for fields in ({}, {"guidance_rescale": 0.7})]
document = client.simulate_get("/openapi.json").json
wrong = client.simulate_post("/sdapi/v1/txt2img", json={**request, "guidance_rescale": 2})
print(json.dumps({
    "documented": "guidance_rescale" in json.dumps(document["components"]["schemas"]),
    "echoed": [reply["parameters"].get("guidance_rescale") for reply in replies],
    "pictures": [reply["images"][0] for reply in replies],
    "wrong": [wrong.status_code, wrong.text],
}))
"""


@pytest.mark.torch
def test_its_diff_makes_a_parameter(page) -> None:
    made = page("adding-a-parameter").use(USE, "--backend", "torch")
    assert made["documented"]
    assert made["echoed"] == [0.0, 0.7]
    plain, rescaled = made["pictures"]
    assert plain != rescaled
    status, text = made["wrong"]
    assert status == 422
    assert "guidance_rescale" in text


def test_it_costs_what_it_says(page) -> None:
    parameter = page("adding-a-parameter")
    assert (len(parameter.files), parameter.lines) == (4, 13)
