"""The arithmetic of every kind of LoRA against the recorded deltas (spec networks.md 2.4)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.patches.lora_kinds import Misfit, delta, kind_of

CASES = json.loads((Path(__file__).parents[4] / "golden/network_vectors.json").read_text("utf-8"))[
    "cases"
]


def parts_of(case: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in case["tensors"].items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["desc"])
def test_deltas(case):
    """All of network_vectors.json."""
    parts = parts_of(case)
    kind = kind_of(parts)
    assert kind is not None
    weight = torch.tensor(case["orig_weight"])
    text = "transformer" in case["sd_key"][:20]
    multiplier = case["te_multiplier" if text else "unet_multiplier"]
    made = delta(kind, parts, weight, multiplier, case["dyn_dim"])
    torch.testing.assert_close(made.weight, torch.tensor(case["delta"]), rtol=1e-5, atol=1e-6)
    if case["bias_delta"] is None:
        assert made.bias is None
    else:
        torch.testing.assert_close(made.bias, torch.tensor(case["bias_delta"]))


def test_parts_of_no_kind():
    assert kind_of({"alpha", "lora_up.weight"}) is None


def test_a_convolution_widened_for_inpainting_gets_zeros_for_its_new_channels():
    """Spec networks.md 2.4, Common."""
    parts = {"lora_up.weight": torch.randn(6, 2, 1, 1), "lora_down.weight": torch.randn(2, 4, 3, 3)}
    kind = kind_of(parts)
    wide = delta(kind, parts, torch.zeros(6, 9, 3, 3), 1.0).weight
    narrow = delta(kind, parts, torch.zeros(6, 4, 3, 3), 1.0).weight
    assert torch.equal(wide[:, :4], narrow)
    assert not wide[:, 4:].any()


def test_a_bias_part_joins_the_product_before_it_is_scaled():
    """Spec networks.md 2.4, Common."""
    parts = {"diff": torch.ones(2, 2), "bias": torch.full((4,), 2.0), "scale": torch.tensor(3.0)}
    made = delta(kind_of(parts), parts, torch.zeros(2, 2), 0.5)
    assert torch.equal(made.weight, torch.full((2, 2), 4.5))


def test_peft_dora_keeps_one_length_for_each_output_channel():
    """PEFT's convention; A1111 does not read these files."""
    weight, up, down = torch.randn(4, 3), torch.randn(4, 2), torch.randn(2, 3)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "magnitude": torch.rand(4) + 0.5}
    made = weight + delta(kind_of(parts), parts, weight, 1.0).weight
    torch.testing.assert_close(made.norm(dim=1), parts["magnitude"])


@pytest.mark.parametrize(
    "parts",
    [
        {"lora_up.weight": torch.zeros(10**6, 1), "lora_down.weight": torch.zeros(1, 10**6)},
        {"lora_up.weight": torch.zeros(4, 2), "lora_down.weight": torch.zeros(3, 3)},
        {"lora_up.weight": torch.zeros(4), "lora_down.weight": torch.zeros(3)},
        {"lokr_w1": torch.zeros(10**3, 10**3), "lokr_w2": torch.zeros(10**3, 10**3)},
        {name: torch.zeros(10**6, 1).T if name.endswith("b") else torch.zeros(10**6, 1)
         for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")},
        {"weight": torch.zeros(5), "on_input": torch.tensor(True)},
        {"diff": torch.zeros(5)},
        {"oft_blocks": torch.zeros(2, 3, 3)},
        {"oft_blocks": torch.zeros(7)},
        {"a1.weight": torch.zeros(2, 2), "a2.weight": torch.zeros(2, 2), "alpha": torch.tensor(1.),
         "b1.weight": torch.zeros(2, 2), "b2.weight": torch.zeros(2, 2)},
        {"lora_up.weight": torch.zeros(4, 2), "lora_down.weight": torch.zeros(2, 3),
         "alpha": torch.zeros(3)},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_it_grows(parts):
    with pytest.raises(Misfit):
        delta(kind_of(parts), parts, torch.zeros(4, 3), 1.0)
