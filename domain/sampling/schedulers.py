"""The catalogue of noise schedules: how a run's noise levels are spaced.

Names, labels, aliases and order are A1111's (spec sampling.md 3, `GET /sdapi/v1/schedulers`).
The sigmas are computed in `adapters/gpu/torch_backend/sampling/schedules.py`.
"""

import msgspec

NO_RHO = -1.0


class Scheduler(msgspec.Struct, frozen=True, kw_only=True):
    """One way of spacing noise levels.

    `default_rho` is the default exponent of a schedule that has one, `NO_RHO` for the others.
    `need_inner_model` tells that the spacing depends on the model's sigma-to-timestep table.
    """

    name: str
    label: str
    default_rho: float = NO_RHO
    need_inner_model: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of a sampler's name that select this schedule, in the order tried."""
        return (self.label, self.name, *self.aliases)


AUTOMATIC = Scheduler(name="automatic", label="Automatic")

SCHEDULERS: tuple[Scheduler, ...] = (
    AUTOMATIC,
    Scheduler(name="uniform", label="Uniform", need_inner_model=True),
    Scheduler(name="karras", label="Karras", default_rho=7.0),
    Scheduler(name="exponential", label="Exponential"),
    Scheduler(name="polyexponential", label="Polyexponential", default_rho=1.0),
    Scheduler(
        name="sgm_uniform", label="SGM Uniform", need_inner_model=True, aliases=("SGMUniform",)
    ),
    Scheduler(name="kl_optimal", label="KL Optimal"),
    Scheduler(name="align_your_steps", label="Align Your Steps"),
    Scheduler(name="simple", label="Simple", need_inner_model=True),
    Scheduler(name="normal", label="Normal", need_inner_model=True),
    Scheduler(name="ddim", label="DDIM", need_inner_model=True),
    Scheduler(name="beta", label="Beta", need_inner_model=True),
)

BY_LABEL = {scheduler.label: scheduler for scheduler in SCHEDULERS}
BY_NAME = {scheduler.name: scheduler for scheduler in SCHEDULERS}


def find_scheduler(name: str | None) -> Scheduler:
    """The schedule whose label or internal name is exactly `name`, else Automatic.

    As in A1111 an unknown schedule is no error, and aliases are not looked up (spec sampling.md
    3.1, rule 1).
    """
    return BY_LABEL.get(name or "") or BY_NAME.get(name or "") or AUTOMATIC
