"""docs/limits.md and the OpenAPI document say what the registry of flags says."""

from hexfusion.adapters.http.documents import openapi
from hexfusion.domain.flags import LIMITS, FlagKind, parse_flags
from tools.limits_page import PAGE, page


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tools.limits_page"


def test_every_limit_is_on_it_with_its_default():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [flag.option for flag in LIMITS]
    assert "| `--max-body` | 64 MiB | largest request body, MiB |" in rows


def test_the_openapi_document_has_the_values_in_force():
    limits = parse_flags(["--max-body", "5"], {}, absolute=str).limits()
    told = openapi.document("0", limits=limits)["info"]["x-limits"]
    assert told.keys() == {flag.option for flag in LIMITS}
    assert told["--max-body"] == {"value": 5, "unit": "MiB", "about": "largest request body, MiB"}
    assert told["--queue"]["value"] == 32


def test_every_number_says_what_it_counts():
    assert all(flag.unit for flag in LIMITS if flag.kind is FlagKind.INTEGER)
