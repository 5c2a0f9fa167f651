"""Nothing of A1111's OpenAPI document is missing from ours, and what differs is meant."""

import copy
import json

import pytest

from benchmarks.openapi_diff import compare
from hexfusion.adapters.http.documents import openapi


@pytest.fixture(scope="module")
def theirs(shared):
    return json.loads((shared / "golden" / "openapi.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def ours():
    return json.loads(json.dumps(openapi.document("0")))


def test_nothing_is_missing_and_every_difference_has_its_reason(theirs, ours):
    """Spec api.md 18: the route table; 5.1, 6, 12, 13.1, 14: the fields."""
    report = compare(theirs, ours)
    assert report.unexplained == []
    assert report.compared == {"operations": 41, "schemas": 36, "fields": 667}


STEPS = ("components", "schemas", "StableDiffusionProcessingTxt2Img", "properties", "steps")
PROGRESS = ("paths", "/sdapi/v1/progress", "get")


@pytest.mark.parametrize(
    ("place", "change", "found"),
    [
        (STEPS[:-1], lambda it: it.pop("steps"), "missing"),
        (STEPS, lambda it: it.update(default=20), "default"),
        (STEPS, lambda it: it.update(type="string"), "type"),
        (STEPS[:3], lambda it: it.update(required=["prompt"]), "required"),
        (("components", "schemas"), lambda it: it.pop("SamplerItem"), "missing"),
        (("paths",), lambda it: it.pop("/sdapi/v1/loras"), "missing"),
        (PROGRESS, lambda it: it.pop("parameters"), "parameter skip_current_image: type"),
        (PROGRESS, lambda it: it.update(operationId="x"), "id"),
        (PROGRESS, lambda it: it["responses"].pop("422"), "status missing"),
    ],
)
def test_a_document_that_lacks_something_is_found_out(theirs, ours, place, change, found):
    changed = copy.deepcopy(ours)
    inner = changed
    for key in place:
        inner = inner[key]
    change(inner)
    differences = compare(theirs, changed).differences
    before = compare(theirs, ours).differences
    new = [each for each in differences if each not in before]
    assert (found, None) in [(each.what, each.reason) for each in new]
