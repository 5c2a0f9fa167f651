"""The flags of precision (spec networks.md 1.4, api.md 1)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.precision import FULL, HALF, Precision, choose_precision
from hexfusion.domain.checkpoints import Checkpoint
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout
from tests.contracts.inference import Witness, plan

pytestmark = pytest.mark.torch

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
VAE_IN_FULL = Precision(torch.float16, torch.float32, torch.float16)


@pytest.mark.parametrize(
    ("flags", "on_cuda", "on_cpu"),
    [
        ({}, HALF, FULL),
        ({"no_half": True}, FULL, FULL),
        ({"no_half_vae": True}, VAE_IN_FULL, FULL),
        ({"precision": "full"}, FULL, FULL),
        ({"precision": "full", "no_half": True}, FULL, FULL),
        ({"precision": "half"}, HALF, HALF),
    ],
)
def test_what_flags_ask_for(flags, on_cuda, on_cpu):
    assert choose_precision(CUDA, **flags) == on_cuda
    assert choose_precision(CPU, **flags) == on_cpu


def test_half_precision_on_the_cpu_makes_nearly_the_same_picture(tmp_path: Path):
    """Asked for by --precision half alone: it takes half of the memory, and more time."""
    path = tmp_path / "one.safetensors"
    save_file(random_tensors(sd1_layout(**SMALL), 1), path)
    wanted = plan(Checkpoint(name=path.name, filename=str(path)))
    pictures = [
        np.asarray(TorchInference(CPU, each).render(wanted, Witness()).pictures[0], int)
        for each in (FULL, HALF)
    ]
    difference = np.abs(pictures[0] - pictures[1])
    assert 0 < difference.mean() < 4
