"""Seeds of 64 bits: what the reference draws for them (spec sampling.md 1.1, 1.2, 1.4).

torch's generator on the CPU is seeded with the lower 32 bits, so a seed draws what it draws modulo
2^32. The emulation of an NVIDIA card takes all 64 bits: a seed from 2^63 draws what the seed less
2^64 draws.
"""

import math

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.faces.gfpgan import noise_of
from hexfusion.adapters.gpu.torch_backend.sampling.brownian import BrownianTree
from hexfusion.adapters.gpu.torch_backend.sampling.noise import ImageNoise, open_stream

#: The first numbers of a (1, 4, 4) draw, as torch 2.1.2 and 2.13 make them.
FIRST = {
    0: [-1.12584, -1.15236, -0.250579, -0.433879],
    1: [-1.525596, -0.750232, -0.653981, -1.609485],
    5: [1.84233, 0.518887, -1.711921, -1.701379],
    4294967291: [-2.280052, 1.299685, -2.423212, -0.862045],
    4294967294: [-0.789426, -0.383064, -1.032833, -1.181884],
    4294967295: [-2.664298, -1.091049, 0.451447, 0.228361],
}
LARGE = [
    (2**64 - 1, 4294967295),
    (2**64 - 2, 4294967294),
    (2**64 - 5, 4294967291),
    (2**63, 0),
    (2**63 + 1, 1),
    (2**63 + 5, 5),
    (2**63 - 1, 4294967295),
    (2**63 - 2, 4294967294),
    (2**32, 0),
    (2**32 + 5, 5),
    (2**40 + 1, 1),
    (-(2**63), 0),
    (-(2**63) + 1, 1),
    (-1, 4294967295),
    (-2, 4294967294),
    (-5, 4294967291),
]


@pytest.mark.parametrize("source", ["GPU", "CPU"])
@pytest.mark.parametrize(("seed", "same"), LARGE)
def test_the_cpus_generator_takes_32_bits(source, seed: int, same: int) -> None:
    drawn = open_stream(source, seed)((1, 4, 4))
    assert drawn.flatten()[:4].tolist() == pytest.approx(FIRST[same], abs=1e-6)
    assert torch.equal(drawn, open_stream(source, same)((1, 4, 4)))


def philox(seed: int, number: int) -> float:
    """The number at this place of the first draw, by spec sampling.md 1.2, in plain integers."""
    word = 2**32 - 1
    counter, key = [0, 0, number, 0], [seed & word, seed >> 32 & word]
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            second >> 32 ^ counter[1] ^ key[0],
            second & word,
            first >> 32 ^ counter[3] ^ key[1],
            first & word,
        ]
        key = [key[0] + 0x9E3779B9 & word, key[1] + 0xBB67AE85 & word]
    u = (counter[0] + 0.5) * 2.0**-32
    v = (counter[1] + 0.5) * 2.3283064e-10 * 6.2831855
    return math.sqrt(-2 * math.log(u)) * math.sin(v)


@pytest.mark.parametrize("seed", [seed for seed, _ in LARGE])
def test_the_emulated_card_takes_64_bits(seed: int) -> None:
    drawn = open_stream("NV", seed)((6,)).tolist()
    assert drawn == pytest.approx([philox(seed, number) for number in range(6)], abs=1e-5)
    other = seed - 2**64 if seed >= 2**63 else seed + 2**64
    assert drawn == open_stream("NV", other)((6,)).tolist()
    if not -(2**31) < seed < 2**32:
        assert drawn != open_stream("NV", seed % 2**32)((6,)).tolist()


@pytest.mark.parametrize("source", ["GPU", "CPU", "NV"])
@pytest.mark.parametrize("first", [2**63 - 2, 2**64 - 4, -2, -(2**63), 2**32 - 2])
def test_a_batch_steps_over_the_borders(source, first: int) -> None:
    seeds = range(first, first + 4)
    batch = ImageNoise((4, 8, 8), seeds, source=source)()
    for number, seed in enumerate(seeds):
        assert torch.equal(batch[number], ImageNoise((4, 8, 8), [seed], source=source)()[0])
    assert len({each.numpy().tobytes() for each in batch}) == 4


@pytest.mark.parametrize("source", ["GPU", "CPU", "NV"])
@pytest.mark.parametrize(
    ("seed", "same"), [(2**64 - 1, -1), (2**63 + 9, 9 - 2**63), (2**63, -(2**63))]
)
def test_variations_resizing_and_later_draws(source, seed: int, same: int) -> None:
    def draws(seed: int, subseed: int) -> list[torch.Tensor]:
        noise = ImageNoise(
            (4, 8, 8),
            [seed],
            source=source,
            subseeds=[subseed],
            subseed_strength=0.3,
            resize_from=(48, 80),
            ensd=31337,
        )
        return [noise(), noise()]

    for one, other in zip(draws(seed, same), draws(same, seed), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("source", ["GPU", "CPU", "NV"])
@pytest.mark.parametrize(
    ("seed", "ensd"), [(2**64 - 1, 31337), (-(2**63), -1), (5, 2**64), (5, -6)]
)
def test_a_seed_delta_may_lead_beyond_64_bits(source, seed: int, ensd: int) -> None:
    """Counted modulo 2^64, as machine integers are."""
    noise = ImageNoise((4, 8, 8), [seed], source=source, ensd=ensd)
    noise()
    assert torch.equal(noise()[0], open_stream(source, (seed + ensd) % 2**64)((4, 8, 8)))


@pytest.mark.parametrize("seed", [2**64 - 1, 2**63, -(2**63), -1])
def test_other_draws_take_such_seeds(seed: int) -> None:
    tree = BrownianTree(0.1, 10.0, (4, 8, 8), seed)
    assert torch.equal(
        tree.increment(0.5, 2.0),
        BrownianTree(0.1, 10.0, (4, 8, 8), seed % 2**64).increment(0.5, 2.0),
    )
    cpu = torch.device("cpu")
    assert torch.equal(noise_of(seed, cpu)(4, 4), noise_of(seed % 2**32, cpu)(4, 4))
    assert torch.equal(
        torch.randn(4, generator=ImageNoise((4, 8, 8), [seed]).global_generator()),
        open_stream("CPU", seed % 2**32)((4,)),
    )
