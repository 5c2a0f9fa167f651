"""The catalogue of samplers, in A1111's order (spec sampling.md 3.2, api.md 14).

A new sampler is one entry here and one function in
`adapters/gpu/torch_backend/sampling/samplers/`.
"""

from typing import Literal

import msgspec

Space = Literal["sigma", "timestep"]
"""The variable that a sampler steps through: sigma, or the training timestep."""


class Sampler(msgspec.Struct, frozen=True, kw_only=True):
    """A sampler's names and properties.

    `default_schedule` is the internal name of the schedule that "Automatic" means, or None for the
    model's own uniform spacing. `second_order` doubles the expected number of model calls.
    `brownian` uses a Brownian tree instead of the per-image noise stream. `discard_penultimate`
    builds a schedule with one more noise level and drops the last but one. `uses_ensd` makes
    infotext record option eta_noise_seed_delta. `takes_eta`, `takes_churn` and `takes_s_noise` tell
    which request parameters the sampler uses. `wants_unconditional` passes it the unconditional
    prediction too (CFG++). `consistency` wraps the network as a latent consistency model (LCM).
    """

    name: str
    aliases: tuple[str, ...]
    default_schedule: str | None = None
    space: Space = "sigma"
    second_order: bool = False
    brownian: bool = False
    discard_penultimate: bool = False
    uses_ensd: bool = False
    takes_eta: bool = False
    takes_churn: bool = False
    takes_s_noise: bool = False
    solver_type: str | None = None
    wants_unconditional: bool = False
    consistency: bool = False

    @property
    def options(self) -> dict[str, str]:
        """The `options` object of `GET /sdapi/v1/samplers`: every value is text."""
        options: dict[str, str] = {}
        if self.default_schedule:
            options["scheduler"] = self.default_schedule
        if self.discard_penultimate:
            options["discard_next_to_last_sigma"] = "True"
        if self.uses_ensd:
            options["uses_ensd"] = "True"
        if self.second_order:
            options["second_order"] = "True"
        if self.brownian:
            options["brownian_noise"] = "True"
        if self.solver_type:
            options["solver_type"] = self.solver_type
        return options


SAMPLERS: tuple[Sampler, ...] = (
    Sampler(name="DPM++ 2M", aliases=("k_dpmpp_2m",), default_schedule="karras"),
    Sampler(
        name="DPM++ SDE",
        aliases=("k_dpmpp_sde",),
        default_schedule="karras",
        second_order=True,
        brownian=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM++ 2M SDE",
        aliases=("k_dpmpp_2m_sde",),
        default_schedule="exponential",
        brownian=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM++ 2M SDE Heun",
        aliases=("k_dpmpp_2m_sde_heun",),
        default_schedule="exponential",
        brownian=True,
        takes_eta=True,
        takes_s_noise=True,
        solver_type="heun",
    ),
    Sampler(
        name="DPM++ 2S a",
        aliases=("k_dpmpp_2s_a",),
        default_schedule="karras",
        second_order=True,
        uses_ensd=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM++ 3M SDE",
        aliases=("k_dpmpp_3m_sde",),
        default_schedule="exponential",
        brownian=True,
        discard_penultimate=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="Euler a", aliases=("k_euler_a", "k_euler_ancestral"), uses_ensd=True, takes_eta=True
    ),
    Sampler(name="Euler", aliases=("k_euler",), takes_churn=True, takes_s_noise=True),
    Sampler(name="LMS", aliases=("k_lms",)),
    Sampler(
        name="Heun",
        aliases=("k_heun",),
        second_order=True,
        takes_churn=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM2",
        aliases=("k_dpm_2",),
        default_schedule="karras",
        second_order=True,
        discard_penultimate=True,
        takes_churn=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM2 a",
        aliases=("k_dpm_2_a",),
        default_schedule="karras",
        second_order=True,
        discard_penultimate=True,
        uses_ensd=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(
        name="DPM fast",
        aliases=("k_dpm_fast",),
        uses_ensd=True,
        takes_eta=True,
        takes_s_noise=True,
    ),
    Sampler(name="DPM adaptive", aliases=("k_dpm_ad",), uses_ensd=True, takes_eta=True),
    Sampler(name="Restart", aliases=("restart",), default_schedule="karras", second_order=True),
    Sampler(name="DDIM", aliases=("ddim",), space="timestep", takes_eta=True),
    Sampler(
        name="DDIM CFG++",
        aliases=("ddim_cfgpp",),
        space="timestep",
        takes_eta=True,
        wants_unconditional=True,
    ),
    Sampler(name="PLMS", aliases=("plms",), space="timestep"),
    Sampler(name="UniPC", aliases=("unipc",), space="timestep"),
    Sampler(name="LCM", aliases=("k_lcm",), consistency=True),
)

BY_NAME = {sampler.name: sampler for sampler in SAMPLERS}
