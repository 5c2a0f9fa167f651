"""Step arithmetic: expected model calls, img2img steps, timesteps."""

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.sampling.samplers import Sampler

TRAIN_TIMESTEPS = 1000
MAX_STRENGTH = 0.999
"""Largest denoising strength used: at 1 img2img would have no first step."""


def expected_calls(sampler: Sampler, steps: int) -> int:
    """Model calls that prompt editing and progress count with (spec sampling.md 5.1, 5.2).

    Second-order samplers count two calls per step. Some samplers make a few more or fewer; as in
    A1111 prompt editing uses this number nevertheless.
    """
    return steps * 2 if sampler.second_order else steps


def sampling_step(sampler: Sampler, call: int) -> int:
    """The 0-based step that the `call`-th model call (from 1) belongs to."""
    return (call - 1) // 2 if sampler.second_order else call - 1


def img2img_steps(
    steps: int, denoising_strength: float, *, explicit: bool = False
) -> tuple[int, int]:
    """(schedule steps to build, encode depth t_enc) of an img2img pass (spec sampling.md 6.2).

    The run makes the last t_enc + 1 steps of the schedule. With `explicit` (hires second pass, and
    option img2img_fix_steps) exactly `steps` steps are made, so the schedule is built longer; with
    strength 0 it is then empty: (0, steps - 1).
    """
    strength = min(denoising_strength, MAX_STRENGTH)
    if explicit:
        return (int(steps / strength) if denoising_strength > 0 else 0), steps - 1
    return steps, int(strength * steps)


def timestep_list(steps: int) -> list[int]:
    """Ascending training timesteps of the DDIM family, at least `steps` of them (spec sampling.md
    3.3).

    Raises InvalidRequest("steps", ...) beyond 1000, the number of training timesteps.
    """
    if not 1 <= steps <= TRAIN_TIMESTEPS:
        raise InvalidRequest("steps", f"this sampler takes 1 to {TRAIN_TIMESTEPS} steps")
    stride = TRAIN_TIMESTEPS // steps
    return [min(t + 1, TRAIN_TIMESTEPS - 1) for t in range(0, TRAIN_TIMESTEPS, stride)]
