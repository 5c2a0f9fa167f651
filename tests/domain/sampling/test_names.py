"""Spec sampling.md 3.1 and api.md 5.2: what sampler and schedule a request means."""

import json
from pathlib import Path

import pytest

from hexfusion.domain.errors import NotFound
from hexfusion.domain.sampling.names import effective_scheduler, resolve_names, resolve_request
from tests.golden.sampling_vectors import section

# Where the reference, not knowing the name, silently takes its first sampler.
FALLS_BACK = ("Euler SGM Uniform", "euler a", "nonsense", "k_euler", "Euler Karras Exponential")
KNOWN = [case for case in section("sampler_names") if case["name"] not in FALLS_BACK]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: f"{case['name']}+{case['scheduler']}")
def test_known_names_resolve_as_the_reference_does(case: dict) -> None:
    """[V:sampler_names]"""
    sampler, label = resolve_names(
        case["name"], case["scheduler"], convert_automatic=case["convert_automatic"]
    )
    assert [sampler.name, label] == case["out"]


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("euler a", ("Euler a", "Automatic")),
        ("k_euler", ("Euler", "Automatic")),
        ("K_DPMPP_2M", ("DPM++ 2M", "Automatic")),
        ("dpm++ 2m karras", ("DPM++ 2M", "Karras")),
        ("k_euler_a sgm_uniform", ("Euler a", "SGM Uniform")),
        # A1111 cuts "Uniform" off and then knows no "Euler SGM".
        ("Euler SGM Uniform", ("Euler", "SGM Uniform")),
    ],
)
def test_case_alias_and_embedded_schedule_are_understood(name: str, want: tuple[str, str]) -> None:
    """Ours, in place of A1111's silent fallback (golden README)."""
    sampler, label = resolve_names(name)
    assert (sampler.name, label) == want


@pytest.mark.parametrize("name", ["nonsense", "Nope Karras", "Euler Karras Exponential", "Karras"])
def test_an_unknown_sampler_is_named_in_the_error(name: str) -> None:
    with pytest.raises(NotFound) as caught:
        resolve_names(name, "Karras")
    assert (caught.value.kind, caught.value.name) == ("sampler", name)


@pytest.mark.parametrize(
    ("request_names", "want"),
    [
        (("Euler a Exponential", "Euler", "Karras"), ("Euler a", "Karras")),
        (("DPM++ 2M SDE Exponential", "Euler", None), ("DPM++ 2M SDE", "Automatic")),
        (("DPM++ 2M SDE Karras", "Euler", None), ("DPM++ 2M SDE", "Karras")),
        ((None, "Euler", None), ("Euler", "Automatic")),
        (("", "Heun Karras", ""), ("Heun", "Karras")),
        (("Euler", "Heun", "KARRAS"), ("Euler", "Automatic")),
    ],
)
def test_requests(
    request_names: tuple[str | None, str | None, str | None], want: tuple[str, str]
) -> None:
    """api.md 5.2: an explicit scheduler beats a trailing one, an unknown one is Automatic."""
    sampler, label = resolve_request(*request_names)
    assert (sampler.name, label) == want


def test_recorded_infotexts_name_what_we_resolve(shared: Path) -> None:
    """The recordings of names/, except where A1111 fell back for not knowing the name."""
    seen = 0
    for path in sorted((shared / "golden" / "names").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        sent = record["request"]["json"]
        if "Nope" in sent.get("sampler_name", "") or sent.get("sampler_name") == "euler a":
            continue
        sampler, label = resolve_request(
            sent.get("sampler_name"), sent.get("sampler_index", "Euler"), sent.get("scheduler")
        )
        text = json.loads(record["body"]["info"])["infotexts"][0]
        want = f"Sampler: {sampler.name}, Schedule type: {effective_scheduler(sampler, label)},"
        assert want in text, path.name
        seen += 1
    assert seen > 5
