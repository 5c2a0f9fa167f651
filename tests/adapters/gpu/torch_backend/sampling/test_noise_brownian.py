"""Spec sampling.md 1.8: Brownian noise. Oracle: [V:brownian]."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.sampling.brownian import (
    BatchBrownian,
    BrownianTree,
    ImageBrownian,
)
from tests.golden.sampling_vectors import distance, section

DATA = section("brownian")
TOLERANCE = 1e-6
SIGMAS = torch.tensor(DATA["karras6_seed0_shape_1x4x1x1"]["sigmas"])
LOW, HIGH = SIGMAS[-2].item(), SIGMAS[0].item()


def test_noise_along_a_schedule() -> None:
    noise = ImageBrownian((4, 1, 1), [0], LOW, HIGH)
    for query in DATA["karras6_seed0_shape_1x4x1x1"]["queries"]:
        got = noise(torch.tensor(query["sigma"]), torch.tensor(query["sigma_next"]))
        assert distance(got.flatten(), query["noise"]) <= TOLERANCE


@pytest.mark.parametrize("query", DATA["tree_queries_entropy0"])
def test_increments(query: dict) -> None:
    tree = BrownianTree(LOW, HIGH, (4, 1, 1), 0)
    assert distance(tree.increment(query["ta"], query["tb"]).flatten(), query["W"]) <= TOLERANCE


def test_forgetting_earlier_questions_changes_nothing() -> None:
    """The tree keeps only what the latest question met."""
    tree = BrownianTree(LOW, HIGH, (4, 1, 1), 0)
    for query in [*DATA["tree_queries_entropy0"], *reversed(DATA["tree_queries_entropy0"])]:
        got = tree.increment(query["ta"], query["tb"]).flatten()
        assert distance(got, query["W"]) <= TOLERANCE


def test_one_tree_per_image() -> None:
    both = ImageBrownian((4, 1, 1), [0, 1], LOW, HIGH)(SIGMAS[0], SIGMAS[1])
    assert distance(both.flatten(), DATA["batch2_seeds_0_1_first"]["noise"]) <= TOLERANCE


def test_nv_source() -> None:
    got = ImageBrownian((4, 1, 1), [0], LOW, HIGH, source="NV")(SIGMAS[0], SIGMAS[1])
    assert distance(got.flatten(), DATA["nv_karras6_seed0_first"]["noise"]) <= TOLERANCE


def test_asking_the_other_way_round_turns_the_sign() -> None:
    noise = ImageBrownian((4, 1, 1), [0], LOW, HIGH)
    assert torch.equal(noise(SIGMAS[2], SIGMAS[1]), -noise(SIGMAS[1], SIGMAS[2]))


def test_parts_add_up_to_the_whole() -> None:
    tree = BrownianTree(LOW, HIGH, (4, 8, 8), 3)
    times = [LOW, 0.3, 1.7, 1.700002, 9.0, HIGH]
    parts = sum(tree.increment(a, b) for a, b in pairwise(times))
    assert torch.allclose(parts, tree.increment(LOW, HIGH), atol=1e-5)


def test_increments_have_the_variance_of_their_span() -> None:
    tree = BrownianTree(0.0, 10.0, (200, 200), 5)
    for low, high in ((0.0, 10.0), (2.5, 5.0), (3.14, 3.15)):
        ratio = tree.increment(low, high).var().item() / (high - low)
        assert ratio == pytest.approx(1, abs=0.03)


def test_times_beyond_the_range_are_moved_into_it() -> None:
    tree = BrownianTree(1.0, 2.0, (4,), 0)
    assert torch.equal(tree.increment(0.0, 5.0), tree.increment(1.0, 2.0))
    assert torch.equal(tree.increment(3.0, 5.0), torch.zeros(4))


def test_seed_sequences_are_numpys() -> None:
    """The words that seed root and nodes: what our use of SeedSequence must come to."""
    for name, want in DATA["seed_sequences"].items():
        kind, *numbers = name.removeprefix("root_entropy").split("_")
        if kind == "node":
            key = tuple(map(int, numbers))
            sequence = np.random.SeedSequence(0, spawn_key=key, pool_size=24)
        else:
            sequence = np.random.SeedSequence(int(kind or numbers[0]), pool_size=24)
        assert sequence.generate_state(len(want)).tolist() == want, name


def test_a_negative_seed_has_a_tree_too() -> None:
    assert BrownianTree(1.0, 2.0, (4,), -5).increment(1.0, 1.5).isfinite().all()


def test_batch_tree_depends_on_the_batch() -> None:
    """Option no_dpmpp_sde_batch_determinism."""

    def first(images: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(11)
        noise = BatchBrownian((images, 4, 4, 4), generator, LOW, HIGH)
        return noise(SIGMAS[0], SIGMAS[1])

    assert first(2).shape == (2, 4, 4, 4)
    assert torch.equal(first(2), first(2))
    assert not torch.equal(first(2)[1], first(1)[0])
