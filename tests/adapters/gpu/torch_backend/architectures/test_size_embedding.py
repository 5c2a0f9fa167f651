"""Spec sampling.md 8. Oracle: [V:sdxl_size_embedding_1024]."""

import json
from pathlib import Path

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.architectures.size_embedding import embed_numbers
from tests.golden.sampling_vectors import distance

pytestmark = pytest.mark.torch


def test_a_number(golden: Path) -> None:
    vector = json.loads((golden / "sdxl_size_embedding_1024.json").read_text())
    (got,) = embed_numbers([1024])
    assert (got.shape, got.dtype) == ((256,), torch.float32)
    parts = {
        "cos_first4": got[:4],
        "cos_last2": got[126:128],
        "sin_first4": got[128:132],
        "sin_last2": got[254:],
    }
    for name, part in parts.items():
        assert distance(part, vector["data"][name]) <= 1e-6, name


def test_each_number_by_itself() -> None:
    assert torch.equal(embed_numbers([6.0, 0, 1024])[2:], embed_numbers([1024]))
    assert embed_numbers([0])[0].tolist() == [1.0] * 128 + [0.0] * 128
    assert not torch.equal(embed_numbers([2.5]), embed_numbers([2]))
