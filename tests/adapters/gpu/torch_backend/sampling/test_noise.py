"""Spec sampling.md 1: every picture's own noise. Oracle: [V:rng]."""

import threading

import numpy as np
import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.sampling.noise import (
    ImageNoise,
    open_stream,
    philox4x32,
    slerp,
)
from tests.golden.sampling_vectors import distance, section

RNG = section("rng")
NV_TOLERANCE, TOLERANCE = 2e-7, 5e-6


@pytest.mark.parametrize("case", RNG["philox_raw"])
def test_philox_blocks(case: dict) -> None:
    """Random123's known answers among them."""
    counter = np.array(case["counter"], np.uint64).reshape(4, 1)
    assert philox4x32(counter, tuple(case["key"]))[:, 0].tolist() == case["out"]


def test_nv_stream_counts_calls_not_numbers() -> None:
    stream = open_stream("NV", 0)
    assert distance(stream((3, 4)).flatten(), RNG["nv_seed0_first_3x4"]) <= NV_TOLERANCE
    assert distance(stream((2, 3)).flatten(), RNG["nv_seed0_second_2x3"]) <= NV_TOLERANCE


@pytest.mark.parametrize("seed", [123456789012345, 4294967295])
def test_nv_stream_takes_large_seeds(seed: int) -> None:
    want = RNG[f"nv_seed_{seed}_first_5"]
    assert distance(open_stream("NV", seed)((5,)), want) <= NV_TOLERANCE


def test_nv_stream_of_a_latents_size() -> None:
    want = RNG["nv_seed42_4x64x64"]
    numbers = open_stream("NV", 42)((4, 64, 64)).flatten()
    assert distance(numbers[:8], want["first8"]) <= NV_TOLERANCE
    assert distance(numbers[-4:], want["last4"]) <= NV_TOLERANCE
    assert numbers.double().sum().item() == pytest.approx(want["sum"], abs=1e-3)


def test_cpu_stream_is_torchs() -> None:
    stream = open_stream("CPU", 0)
    for want in RNG["torch_cpu_seed0_randn4_then_randn4"]:
        assert distance(stream((4,)), want) <= TOLERANCE
    numbers = open_stream("CPU", 0)((4, 8, 8)).flatten()
    assert distance(numbers[:8], RNG["torch_cpu_seed0_randn_4x8x8"]["first8"]) <= TOLERANCE
    assert distance(numbers[-4:], RNG["torch_cpu_seed0_randn_4x8x8"]["last4"]) <= TOLERANCE


def test_gpu_source_on_a_cpu_is_the_cpus() -> None:
    assert torch.equal(open_stream("GPU", 7)((4, 8, 8)), open_stream("CPU", 7)((4, 8, 8)))


def test_slerp() -> None:
    """Columns, not the whole, are normalised; nearly parallel noises blend the other way round."""
    data = RNG["slerp"]

    def blend(case: dict, share: float) -> torch.Tensor:
        shape = data["shape"]
        return slerp(
            share, torch.tensor(case["low"]).view(shape), torch.tensor(case["high"]).view(shape)
        ).flatten()

    for case in data["cases"]:
        assert distance(blend(data, case["val"]), case["out"]) <= TOLERANCE
    near = data["near_parallel"]
    assert distance(blend(near, near["val"]), near["out"]) <= TOLERANCE


def source_of(case: dict) -> ImageNoise:
    size = (case.get("seed_resize_from_h"), case.get("seed_resize_from_w"))
    return ImageNoise(
        tuple(case["shape"]),
        case["seeds"],
        source=case["source"],
        subseeds=case.get("subseeds", ()),
        subseed_strength=case.get("subseed_strength", 0.0),
        resize_from=size if None not in size else None,
        ensd=case.get("ensd", 0),
    )


@pytest.mark.parametrize("case", RNG["image_rng"], ids=lambda c: f"{c['name']}-{c['source']}")
def test_image_noise(case: dict) -> None:
    """Plain, ENSD, subseeds, seed resize from smaller, larger and odd sizes; both sources."""
    noise = source_of(case)
    for want in case["draws"]:
        assert distance(noise().flatten(), want) <= TOLERANCE


def test_one_resize_side_alone_does_nothing() -> None:
    """Spec 1.3: both sides must be above 0."""
    plain, half = ImageNoise((4, 4, 4), [5]), ImageNoise((4, 4, 4), [5], resize_from=(64, 0))
    assert torch.equal(plain(), half())


def test_a_missing_subseed_is_zero() -> None:
    """Spec 1.3, step 2."""
    short = ImageNoise((4, 4, 4), [5, 5], subseeds=[9], subseed_strength=0.5)()
    full = ImageNoise((4, 4, 4), [5, 5], subseeds=[9, 0], subseed_strength=0.5)()
    assert torch.equal(short, full)


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    both, alone = ImageNoise((4, 8, 8), [1, 2]), ImageNoise((4, 8, 8), [2])
    for _ in range(3):
        assert torch.equal(both()[1:], alone())


def test_global_generator_after_the_first_draw() -> None:
    """[V:global_generator_after_first_draw], without there being a global one."""
    want = section("global_generator_after_first_draw")
    noise = ImageNoise((4, 2, 2), want["seeds"])
    noise()
    got = torch.randn(4, generator=noise.global_generator())
    assert distance(got, want["torch_randn4"]) <= 1e-6


def test_torchs_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    for case in RNG["image_rng"]:
        noise = source_of(case)
        noise(), noise()
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_do_not_disturb_each_other() -> None:
    want = {seed: ImageNoise((4, 8, 8), [seed])() for seed in range(8)}
    got: dict[int, torch.Tensor] = {}

    def draw(seed: int) -> None:
        got[seed] = ImageNoise((4, 8, 8), [seed])()

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in want]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(got[seed], want[seed]) for seed in want)
