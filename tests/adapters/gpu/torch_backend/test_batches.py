"""A batch's pictures are those of its seeds alone, whatever the sampler (spec sampling.md 1.6).

With the toy network of the pipeline vectors nothing depends on the neighbours, not by a bit. Real
networks multiply matrices of another shape, which may round otherwise: see test_engine_batches.py.
DPM adaptive is excepted, as in the spec: all pictures of a batch share its step size.
"""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    ScheduledContext,
    WeightedSchedule,
)
from hexfusion.adapters.gpu.torch_backend.sampling.noise import ImageNoise
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.passes import (
    LatentModel,
    sample_from_latent,
    sample_from_noise,
)
from hexfusion.domain.plan import SamplingPlan
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.parameters import resolve_parameters
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS
from tests.adapters.gpu.torch_backend.test_pipeline_vectors import Toy

ADAPTIVE = "DPM adaptive"

#: What all pictures of a batch have in common.
JOBS = st.fixed_dictionaries(
    {
        "sampler": st.sampled_from([each for each in SAMPLERS if each.name != ADAPTIVE]),
        "scheduler": st.sampled_from([each.label for each in SCHEDULERS]),
        "steps": st.integers(2, 9),
        "shape": st.tuples(st.just(4), st.integers(2, 6), st.integers(2, 6)),
        "source": st.sampled_from(["CPU", "NV"]),
        "ensd": st.sampled_from([0, 31337]),
        "subseed_strength": st.sampled_from([0.0, 0.3]),
        "resize_from": st.sampled_from([None, (24, 40)]),
        "eta": st.sampled_from([None, 0.0, 0.7]),
        "s_churn": st.sampled_from([0.0, 3.0]),
        "cfg_scale": st.sampled_from([1.0, 7.0]),
        "v_prediction": st.booleans(),
        "denoising_strength": st.sampled_from([None, 0.5]),
    }
)
SEED = st.integers(0, 2**40)
#: Seed, subseed, and the parts of a prompt: a weight and a value each.
PICTURE = st.tuples(
    SEED,
    SEED,
    st.lists(st.tuples(st.sampled_from([1.0, -0.4]), st.floats(-1, 1)), min_size=1, max_size=2),
)


def context(value: float) -> tuple[ScheduledContext, ...]:
    """A prompt that changes after three calls."""
    rows = torch.arange(6, dtype=torch.float32).view(2, 3) * 0.1 + value
    return ScheduledContext(3, rows), ScheduledContext(1000, -rows)


def latents(job: dict[str, Any], pictures: list[Any]) -> Tensor:
    """The final latents of one batch, (B, C, H, W)."""
    seeds, subseeds, texts = zip(*pictures, strict=True)
    options = SamplingOptions(randn_source=job["source"], eta_noise_seed_delta=job["ensd"])
    chosen = SamplingPlan(
        sampler=job["sampler"],
        scheduler=job["scheduler"],
        steps=job["steps"],
        cfg_scale=job["cfg_scale"],
        parameters=resolve_parameters(
            job["sampler"], options, eta=job["eta"], s_churn=job["s_churn"]
        ),
        options=options,
    )
    conditioning = Conditioning(
        positive=tuple(
            tuple(WeightedSchedule(context(value), weight) for weight, value in parts)
            for parts in texts
        ),
        negative=tuple(context(-parts[0][1]) for parts in texts),
        empty=torch.full((2, 3), 0.25),
    )
    noise = ImageNoise(
        job["shape"],
        seeds,
        source=job["source"],
        subseeds=subseeds,
        subseed_strength=job["subseed_strength"],
        resize_from=job["resize_from"],
        ensd=job["ensd"],
    )
    model = LatentModel(network=Toy(), table=noise_table(), v_prediction=job["v_prediction"])
    if job["denoising_strength"] is None:
        return sample_from_noise(model, chosen, conditioning, noise)
    size = torch.Size(job["shape"])
    ramps = [torch.linspace(-1, 1, size.numel()).view(size) * (seed % 7) for seed in seeds]
    init = torch.stack(ramps)
    return sample_from_latent(model, chosen, conditioning, noise, init, job["denoising_strength"])


@settings(max_examples=60, deadline=None)
@given(JOBS, st.lists(PICTURE, min_size=2, max_size=4))
def test_every_picture_of_a_batch_is_made_as_if_alone(
    job: dict[str, Any], pictures: list[Any]
) -> None:
    together = latents(job, pictures)
    for picture, in_batch in zip(pictures, together, strict=True):
        alone = latents(job, [picture])[0]
        assert torch.equal(in_batch, alone)


def test_dpm_adaptive_shares_its_step_size() -> None:
    """The spec's exception, shown: or it would be none."""
    (adaptive,) = (each for each in SAMPLERS if each.name == ADAPTIVE)
    job = {
        "sampler": adaptive, "scheduler": "Automatic", "steps": 5, "shape": (4, 4, 4),
        "source": "CPU", "ensd": 0, "subseed_strength": 0.0, "resize_from": None, "eta": None,
        "s_churn": 0.0, "cfg_scale": 7.0, "v_prediction": False, "denoising_strength": None,
    }  # fmt: skip
    pictures = [(1, 0, [(1.0, 0.5)]), (2, 0, [(1.0, -0.5)])]
    together = latents(job, pictures)
    assert not torch.equal(together[1], latents(job, pictures[1:])[0])
