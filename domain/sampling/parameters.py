"""Sampler parameters (eta, churn, noise scale), resolved from the request and the options."""

import math

import msgspec

from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.samplers import Sampler


class SamplerParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers a sampler runs with (spec sampling.md 4); the defaults switch each one off."""

    eta: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0


def resolve_parameters(
    sampler: Sampler,
    options: SamplingOptions,
    *,
    eta: float | None = None,
    s_churn: float | None = None,
    s_tmin: float | None = None,
    s_tmax: float | None = None,
    s_noise: float | None = None,
) -> SamplerParameters:
    """Resolve a request's parameters (None: not given) and the options for one sampler.

    For churn, its sigma range and the noise scale, an option that is not at its default takes
    precedence over the request (spec sampling.md 4, checklist 10); for eta the request takes
    precedence. Parameters that the sampler does not use are neutral. `s_tmax` 0 means no limit.
    """
    default_eta = options.eta_ddim if sampler.space == "timestep" else options.eta_ancestral
    churn: dict[str, float] = {}
    if sampler.takes_churn:
        churn = {
            "s_churn": _settle(options.s_churn, s_churn, 0.0),
            "s_tmin": _settle(options.s_tmin, s_tmin, 0.0),
            "s_tmax": _settle(options.s_tmax or math.inf, s_tmax or None, math.inf),
        }
    return SamplerParameters(
        eta=(default_eta if eta is None else eta) if sampler.takes_eta else 0.0,
        s_noise=_settle(options.s_noise, s_noise, 1.0) if sampler.takes_s_noise else 1.0,
        **churn,
    )


def _settle(option: float, requested: float | None, default: float) -> float:
    return option if option != default or requested is None else requested
