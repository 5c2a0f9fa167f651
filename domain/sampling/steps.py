"""Step arithmetic: how many model calls to expect, and where img2img enters the schedule."""

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.sampling.samplers import Sampler

TRAIN_TIMESTEPS = 1000
MAX_STRENGTH = 0.999
"""A strength of 1 would leave img2img without a first step."""


def expected_calls(sampler: Sampler, steps: int) -> int:
    """Model calls that prompt editing and progress count with (spec sampling.md 5.1, 5.2).

    Second-order samplers ask twice a step. Some ask a few times more or fewer; A1111's prompt
    timing follows this number nevertheless.
    """
    return steps * 2 if sampler.second_order else steps


def sampling_step(sampler: Sampler, call: int) -> int:
    """The 0-based step that the `call`-th model call (from 1) belongs to."""
    return (call - 1) // 2 if sampler.second_order else call - 1


def img2img_steps(
    steps: int, denoising_strength: float, *, explicit: bool = False
) -> tuple[int, int]:
    """(schedule steps to build, encode depth t_enc) of an img2img pass (spec sampling.md 6.2).

    The run makes t_enc + 1 of the schedule's steps. `explicit` is the rule of the hires second
    pass and of the option img2img_fix_steps: as many steps are made as were asked for, so the
    schedule is built longer. With strength 0 that schedule is empty, (0, steps - 1).
    """
    strength = min(denoising_strength, MAX_STRENGTH)
    if explicit:
        return (int(steps / strength) if denoising_strength > 0 else 0), steps - 1
    return steps, int(strength * steps)


def timestep_list(steps: int) -> list[int]:
    """Ascending training times of the DDIM family, at least `steps` many (spec sampling.md 3.3).

    Raises InvalidRequest("steps", ...) beyond 1000: there are no more training times.
    """
    if not 1 <= steps <= TRAIN_TIMESTEPS:
        raise InvalidRequest("steps", f"this sampler takes 1 to {TRAIN_TIMESTEPS} steps")
    stride = TRAIN_TIMESTEPS // steps
    return [min(t + 1, TRAIN_TIMESTEPS - 1) for t in range(0, TRAIN_TIMESTEPS, stride)]
