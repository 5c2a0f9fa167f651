"""Spec sampling.md 2: the model's noise table. Oracle: [V:tables], [V:schedules] (LCM)."""

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import (
    consistency_table,
    noise_table,
    stable_diffusion_alphas,
)
from tests.golden.sampling_vectors import distance, section

TABLES = section("tables")
TOLERANCE = 1e-6


def agree(table: torch.Tensor, want: dict[str, float], tolerance: float = TOLERANCE) -> bool:
    return distance(table[[int(index) for index in want]], want.values()) <= tolerance


@pytest.mark.parametrize("name", ["alphas_cumprod", "sigmas", "log_sigmas"])
def test_stable_diffusions_table(name: str) -> None:
    assert agree(getattr(noise_table(), name), TABLES[name])


def test_all_thousand_alphas() -> None:
    total = stable_diffusion_alphas().double().sum().item()
    assert total == pytest.approx(TABLES["alphas_cumprod_sum_float64"], abs=1e-9)


@pytest.mark.parametrize("case", TABLES["sigma_to_t"], ids=lambda case: str(case["sigma"]))
def test_sigma_to_time(case: dict) -> None:
    sigma = torch.tensor(case["sigma"])
    time = noise_table().sigma_to_t(sigma)
    assert time.dtype == torch.float32
    assert distance([time], [case["t"]]) <= TOLERANCE
    assert noise_table(quantize=True).sigma_to_t(sigma) == case["t_quantized"]


def test_time_to_sigma() -> None:
    times = torch.tensor([case["t"] for case in TABLES["t_to_sigma"]])
    want = [case["sigma"] for case in TABLES["t_to_sigma"]]
    assert distance(noise_table().t_to_sigma(times), want) <= TOLERANCE


def test_zero_terminal_snr() -> None:
    table = noise_table(zero_terminal_snr=True)
    assert agree(table.alphas_cumprod, TABLES["zero_terminal_snr_alphas_cumprod"])
    assert agree(table.sigmas, TABLES["zero_terminal_snr_sigmas"])


def test_downcast_makes_every_table_half() -> None:
    table = noise_table(downcast=True)
    assert agree(table.alphas_cumprod, TABLES["downcast_half_alphas_cumprod"], 0)
    assert {table.alphas_cumprod.dtype, table.sigmas.dtype, table.log_sigmas.dtype} == {
        torch.float16
    }
    assert table.uniform(20).isfinite().all()


def test_a_checkpoints_own_table_is_used() -> None:
    """Spec 2.1: a half-precision file carries a half-rounded table, widened to float32."""
    own = stable_diffusion_alphas().half()
    table = noise_table(own)
    assert table.alphas_cumprod.dtype == torch.float32
    assert torch.equal(table.alphas_cumprod, own.float())


def test_consistency_table() -> None:
    """Spec 2.4."""
    want, table = section("schedules")["LCM table"], consistency_table(noise_table())
    assert distance(table.sigmas, want["sigmas_50"]) <= 2e-6
    for case in want["sigma_to_t"]:
        assert table.sigma_to_t(torch.tensor(case["sigma"])) == case["t"]


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_consistency_schedule(steps: int) -> None:
    want = section("schedules")["LCM get_sigmas"][f"n={steps}"]
    assert distance(consistency_table(noise_table()).uniform(steps), want) <= 2e-6
