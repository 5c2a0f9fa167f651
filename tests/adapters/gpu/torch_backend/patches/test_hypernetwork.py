"""Hypernetworks: their files, and what they change. Spec networks.md 3."""

import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import linear

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.patches.additions import adding
from hexfusion.adapters.gpu.torch_backend.patches.hypernetwork import (
    ACTIVATIONS,
    Hypernetwork,
    read_hypernetwork,
)
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import HypernetworkPlan, NetworksPlan
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


def write(path, network, width=48, **about):
    """A file with this network for keys, and for values the same with other numbers."""
    state = {f"linear.{key}": each for key, each in network.state_dict().items()}
    other = {key: each * 0.5 for key, each in state.items()}
    torch.save({width: (state, other), "step": 3, "name": "x", **about}, path)
    return path


def plain(width=48):
    return nn.Sequential(nn.Linear(width, 2 * width), nn.Linear(2 * width, width))


@pytest.mark.parametrize(
    ("about", "network"),
    [
        ({}, plain()),
        ({"activation_func": "linear", "layer_structure": [1, 2, 1]}, plain()),
        (
            {"activation_func": "relu"},
            nn.Sequential(nn.Linear(48, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU()),
        ),
        (
            {"activation_func": "swish", "activate_output": False, "is_layer_norm": True},
            nn.Sequential(
                nn.Linear(48, 96), nn.Hardswish(), nn.LayerNorm(96), nn.Linear(96, 48),
                nn.LayerNorm(48),
            ),
        ),
        (
            {
                "activation_func": "tanh", "layer_structure": [1, 0.5, 1.5, 1],
                "use_dropout": True, "activate_output": False,
            },
            nn.Sequential(
                nn.Linear(48, 24), nn.Tanh(), nn.Dropout(0.3), nn.Linear(24, 72), nn.Tanh(),
                nn.Linear(72, 48),
            ),
        ),
        (
            {"dropout_structure": [0, 0.1, 0.2], "layer_structure": [1, 1, 1]},
            nn.Sequential(
                nn.Linear(48, 48), nn.Dropout(0.1), nn.Linear(48, 48), nn.Dropout(0.2)
            ),
        ),
    ],
)  # fmt: skip
def test_structures(tmp_path, about, network):
    """Spec networks.md 3.1: y = x + multiplier * net(x); dropout only counts in the names."""
    found = read_hypernetwork(write(tmp_path / "x.pt", network, **about), CPU, torch.float32)
    x = torch.randn(2, 5, 48)
    expected = x + 0.7 * network.eval()(x)
    used = Hypernetwork(found, 0.7)
    torch.testing.assert_close(used.keys(x), expected)
    assert not torch.equal(used.values(x), used.keys(x))
    other = torch.randn(2, 5, 32)
    assert used.keys(other) is other, "there is none for this width"


def test_names_of_old_files(tmp_path):
    network = plain()
    state = {
        "linear1.weight": network[0].weight, "linear1.bias": network[0].bias,
        "linear2.weight": network[1].weight, "linear2.bias": network[1].bias,
    }  # fmt: skip
    torch.save({48: (state, state)}, tmp_path / "x.pt")
    found = read_hypernetwork(tmp_path / "x.pt", CPU, torch.float32)
    x = torch.randn(1, 48)
    torch.testing.assert_close(Hypernetwork(found, 1.0).values(x), x + network(x))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_can_be_built(name):
    ACTIVATIONS[name]()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x"}, "no hypernetwork"),
        ([1], "no hypernetwork"),
        ({48: "x"}, "no pair"),
        ({48: ({}, {})}, "does not fit"),
        ({48: ({"a": 1}, {})}, "more than tensors"),
        ({48: ({}, {}), "layer_structure": [1, 10**9, 1]}, "layer_structure"),
        ({48: ({}, {}), "layer_structure": "x"}, "layer_structure"),
        ({48: ({}, {}), "activation_func": "exec"}, "activation 'exec'"),
        ({48: ({"linear.0.weight": torch.ones(1, 1).expand(10**6, 10**6)}, {})}, "more numbers"),
        (Bomb(), "asks for 'posix.mkdir'"),
    ],
)
def test_unusable_files_are_refused_by_name(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=f"bad.pt.*{message}"):
        read_hypernetwork(tmp_path / "bad.pt", CPU, torch.float32)
    assert not (tmp_path / "executed").exists()


@torch.inference_mode()
def test_they_change_what_keys_and_values_see_in_order(tmp_path):
    """Spec networks.md 3.2. Oracle: hooks on the projections of a network of torch's own layers."""
    save_file(random_tensors(sd1_layout(**SMALL)), tmp_path / "m.safetensors")
    model, twin = (load_checkpoint(tmp_path / "m.safetensors") for _ in range(2))
    paths = [write(tmp_path / "a.pt", plain()), write(tmp_path / "b.pt", plain(64), width=64)]
    paths.append(write(tmp_path / "c.pt", plain()))
    uses = tuple(
        HypernetworkPlan(name="x", path=str(path), multiplier=m)
        for path, m in zip(paths, (1.0, 0.5, 0.3), strict=True)
    )
    for name, module in twin.unet.named_modules():
        if name.endswith(("to_k", "to_v")):
            which = name.endswith("to_v")

            def change(module, args, which=which):
                (x,) = args
                for use in uses:
                    pairs = torch.load(use.path, weights_only=True)
                    if x.shape[-1] in pairs:
                        state = pairs[x.shape[-1]][which]
                        inner = linear(x, state["linear.0.weight"], state["linear.0.bias"])
                        added = linear(inner, state["linear.1.weight"], state["linear.1.bias"])
                        x = x + use.multiplier * added
                return (x,)

            module.register_forward_pre_hook(change)
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([400.0]), torch.randn(1, 77, 48)
    before = predict(model.unet, x, t, context)
    with adding(NetworkStore().additions(NetworksPlan(hypernetworks=uses), model)):
        made = predict(model.unet, x, t, context)
    torch.testing.assert_close(made, predict(twin.unet, x, t, context), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made, before)
    assert torch.equal(predict(model.unet, x, t, context), before)


@pytest.mark.parametrize("name", ["hn_lin", "hn_relu", "apihn2"])
def test_files_that_a1111_made(shared, name):
    path = shared / f"golden/data/models/hypernetworks/{name}.pt"
    found = read_hypernetwork(path, CPU, torch.float32)
    assert {32, 64} <= found.keys()
    x = torch.randn(2, 64)
    assert Hypernetwork(found, 1.0).keys(x).shape == x.shape
