"""Spec sampling.md 4: which of request and option decides a sampler's numbers."""

import math

import msgspec
import pytest

from hexfusion.domain.sampling.names import resolve_names
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.parameters import SamplerParameters, resolve_parameters

EULER, EULER_A, DDIM, LMS, DPM2_A = (
    resolve_names(name)[0] for name in ("Euler", "Euler a", "DDIM", "LMS", "DPM2 a")
)


def test_eta_of_the_request_beats_the_option_of_its_family() -> None:
    options = SamplingOptions(eta_ancestral=0.3, eta_ddim=0.2)
    assert resolve_parameters(EULER_A, options).eta == 0.3
    assert resolve_parameters(DDIM, options).eta == 0.2
    assert resolve_parameters(EULER_A, options, eta=0.0).eta == 0.0


def test_defaults_are_ancestral_one_and_ddim_zero() -> None:
    assert resolve_parameters(EULER_A, SamplingOptions()).eta == 1.0
    assert resolve_parameters(DDIM, SamplingOptions()).eta == 0.0


def test_a_churn_option_away_from_its_default_beats_the_request() -> None:
    """Checklist 10."""
    request = {"s_churn": 5.0, "s_tmin": 0.5, "s_tmax": 9.0, "s_noise": 1.01}
    options = SamplingOptions(s_churn=2.0, s_tmin=0.1, s_tmax=10.0, s_noise=1.003)
    assert resolve_parameters(EULER, SamplingOptions(), **request) == SamplerParameters(
        eta=0.0, **request
    )
    assert resolve_parameters(EULER, options, **request) == SamplerParameters(
        eta=0.0, s_churn=2.0, s_tmin=0.1, s_tmax=10.0, s_noise=1.003
    )


@pytest.mark.parametrize("s_tmax", [0.0, None])
def test_no_upper_churn_limit(s_tmax: float | None) -> None:
    assert resolve_parameters(EULER, SamplingOptions(), s_tmax=s_tmax).s_tmax == math.inf


def test_a_sampler_gets_only_what_it_takes() -> None:
    request = {"s_churn": 5.0, "s_noise": 1.1, "eta": 0.7}
    assert resolve_parameters(LMS, SamplingOptions(), **request) == SamplerParameters(eta=0.0)
    assert resolve_parameters(DPM2_A, SamplingOptions(), **request) == SamplerParameters(
        eta=0.7, s_noise=1.1
    )
    assert resolve_parameters(EULER_A, SamplingOptions(), **request).s_noise == 1.0


def test_options_convert_from_a_snapshot_by_their_a1111_names() -> None:
    snapshot = {"randn_source": "NV", "eta_noise_seed_delta": 31337, "samples_format": "png"}
    options = msgspec.convert(snapshot, SamplingOptions)
    assert (options.randn_source, options.eta_noise_seed_delta) == ("NV", 31337)
