"""Spec sampling.md 3 and 3.2: the lists that /samplers and /schedulers print.

Samplers of our own may follow the reference's.
"""

from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS, find_scheduler
from tests.golden.sampling_vectors import section


def test_samplers_are_the_references_in_its_order() -> None:
    """[V:samplers_registry]; the API prints true as "True" (api.md 14)."""
    want = [
        (entry["name"], entry["aliases"], {k: _text(v) for k, v in entry["options"].items()})
        for entry in section("samplers_registry")
    ]
    got = [(s.name, list(s.aliases), s.options) for s in SAMPLERS]
    assert got[: len(want)] == want


def test_option_order_is_the_references() -> None:
    """JSON objects are compared by clients as text now and then."""
    want = [list(entry["options"]) for entry in section("samplers_registry")]
    assert [list(sampler.options) for sampler in SAMPLERS][: len(want)] == want


def test_schedulers_are_the_references_in_its_order() -> None:
    """[V:schedulers_registry]"""
    got = [
        {
            "name": s.name,
            "label": s.label,
            "default_rho": s.default_rho,
            "need_inner_model": s.need_inner_model,
            "aliases": list(s.aliases) or None,
        }
        for s in SCHEDULERS
    ]
    assert got == section("schedulers_registry")


def test_every_default_schedule_exists() -> None:
    for sampler in SAMPLERS:
        if sampler.default_schedule:
            assert find_scheduler(sampler.default_schedule).name == sampler.default_schedule


def test_what_reaches_which_sampler() -> None:
    """Spec sampling.md 4, table of churn, s_noise and eta."""
    theirs = SAMPLERS[: len(section("samplers_registry"))]
    takes = {s.name: (s.takes_churn, s.takes_s_noise, s.takes_eta) for s in theirs}
    churn, noise_and_eta, eta = (True, True, False), (False, True, True), (False, False, True)
    assert takes == {
        **dict.fromkeys(("Euler", "Heun", "DPM2"), churn),
        **dict.fromkeys(
            ("DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun"),
            noise_and_eta,
        ),
        **dict.fromkeys(("DPM++ 3M SDE", "DPM fast"), noise_and_eta),
        **dict.fromkeys(("Euler a", "DPM adaptive", "DDIM", "DDIM CFG++"), eta),
        **dict.fromkeys(("Restart", "LCM", "LMS", "DPM++ 2M", "PLMS", "UniPC"), (False,) * 3),
    }


def _text(value: object) -> str:
    return str(value)
