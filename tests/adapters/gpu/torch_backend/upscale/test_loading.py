"""Files to networks (spec images.md 9.1: detected from the weights)."""

import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.upscale import spandrel_networks
from hexfusion.adapters.gpu.torch_backend.upscale.loading import build, load_network
from hexfusion.domain.errors import CheckpointError, ModelUnavailable
from tests.adapters.gpu.torch_backend.upscale import networks
from tests.adapters.gpu.torch_backend.upscale.networks import needs_spandrel

pytestmark = pytest.mark.torch

CPU, FULL = torch.device("cpu"), torch.float32
PIXELS = torch.rand(1, 3, 13, 10, generator=torch.Generator().manual_seed(1))


def run(state, pixels=PIXELS):
    with torch.inference_mode():
        return build(state, "x.pth").on(CPU, FULL).run(pixels)


def test_three_programs_name_the_same_network_differently():
    state = networks.esrgan()
    expected = run(state)
    assert expected.shape == (1, 3, 52, 40)
    assert torch.equal(run(networks.old_names(state)), expected)
    assert torch.equal(run(networks.bsrgan_names(state)), expected)
    assert torch.equal(run({f"module.{name}": each for name, each in state.items()}), expected)


@pytest.mark.parametrize(
    ("doublings", "unshuffle", "scale"), [(2, 1, 4), (1, 1, 2), (0, 1, 1), (2, 2, 2), (2, 4, 1)]
)
def test_scales(doublings, unshuffle, scale):
    """Real-ESRGAN enlarges by 2 what it first folds by 2."""
    state = networks.esrgan(doublings, unshuffle)
    assert build(state, "x").scale == scale
    assert run(state).shape == (1, 3, 13 * scale, 10 * scale)
    assert run(state, PIXELS[..., :1, :1]).shape == (1, 3, scale, scale)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_compact_networks(scale):
    state = networks.compact(scale)
    assert build(state, "x").architecture == "Compact"
    assert run(state).shape == (1, 3, 13 * scale, 10 * scale)


@needs_spandrel
@pytest.mark.parametrize(
    "state",
    [
        networks.esrgan(growth=32),
        networks.old_names(networks.esrgan(growth=32)),
        networks.bsrgan_names(networks.esrgan(growth=32)),
        networks.esrgan(1, growth=32),
        networks.esrgan(2, 2, growth=32),
        networks.esrgan(2, 4, growth=32),
        networks.compact(4),
        networks.compact(2),
    ],
)
def test_they_compute_what_spandrel_computes(state):
    expected = spandrel_networks.build(state, "x").on(CPU, FULL).run(PIXELS)
    assert torch.equal(run(state).clamp(0, 1), expected)


@pytest.mark.parametrize("key", ["params_ema", "params", "state_dict", None])
def test_files(tmp_path, key):
    state = networks.esrgan()
    content = {key: state, "iter": 5} if key else state
    loaded = load_network(networks.write(tmp_path / "x.pth", content))
    save_file(state, tmp_path / "x.safetensors")
    other = load_network(tmp_path / "x.safetensors")
    with torch.inference_mode():
        assert torch.equal(loaded.on(CPU, FULL).run(PIXELS), other.on(CPU, FULL).run(PIXELS))


def test_the_averaged_weights_are_taken(tmp_path):
    both = {"params": networks.esrgan(seed=1), "params_ema": networks.esrgan(seed=2)}
    loaded = load_network(networks.write(tmp_path / "x.pth", both))
    with torch.inference_mode():
        assert torch.equal(loaded.on(CPU, FULL).run(PIXELS), run(both["params_ema"]))


def without(state, name):
    return {each: tensor for each, tensor in state.items() if each != name}


@pytest.mark.parametrize(
    ("state", "tensor"),
    [
        (without(networks.esrgan(), "body.1.rdb3.conv5.bias"), "body.1.rdb3.conv5.bias"),
        (networks.esrgan() | {"extra": torch.ones(1)}, "extra"),
        (networks.esrgan() | {"conv_hr.weight": torch.ones(3, 3)}, "conv_hr.weight"),
        (without(networks.compact(), "body.2.bias"), "body.2.bias"),
        (without(networks.compact(), "body.8.weight"), "body.8.weight"),
    ],
)
def test_a_broken_file_names_the_tensor(state, tensor):
    with pytest.raises(CheckpointError) as caught:
        build(state, "models/ESRGAN/x.pth")
    assert caught.value.tensor == tensor
    assert "models/ESRGAN/x.pth" in str(caught.value)


@pytest.mark.parametrize(
    "state",
    [
        networks.compact() | {"body.100000000.weight": torch.ones(12, 4, 3, 3)},
        networks.compact() | {"body.x.weight": torch.ones(1)},
        networks.compact() | {"body.0.weight": torch.ones(3, 3)},
        networks.esrgan() | {"body.100000000.rdb1.conv1.weight": torch.ones(4, 4, 3, 3)},
        networks.esrgan() | {"body.x.rdb1.conv1.weight": torch.ones(4, 4, 3, 3)},
        networks.esrgan() | {"conv_first.weight": torch.ones(1)},
    ],
)
def test_no_network_is_larger_than_its_file(state):
    """Layers are counted by the last: one tensor could claim a hundred million of them."""
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        build(state, "x.pth")


def test_a_grey_network_is_refused():
    state = networks.esrgan()
    state["conv_last.weight"] = state["conv_last.weight"][:1]
    with pytest.raises(CheckpointError, match="pictures in colour"):
        build(state, "x")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_nothing_is_executed(tmp_path, capsys):
    with pytest.raises(CheckpointError):
        load_network(networks.write(tmp_path / "x.pth", {"params": Evil()}))
    assert capsys.readouterr().out == ""


@needs_spandrel
def test_what_nobody_knows_is_refused():
    with pytest.raises(CheckpointError, match="no upscaling network"):
        build({"weight": torch.ones(2)}, "x")


def test_without_spandrel_it_is_named(monkeypatch):
    monkeypatch.setattr(spandrel_networks, "_find", lambda: None)
    with pytest.raises(ModelUnavailable, match="--no-deps spandrel"):
        build({"weight": torch.ones(2)}, "models/SwinIR/x.pth")


def test_half_precision_only_where_it_serves():
    built = build(networks.esrgan(), "x")
    assert built.on(CPU, torch.float16).dtype is torch.float16
    assert build(networks.esrgan(), "x").on(CPU, FULL).dtype is FULL


@needs_spandrel
@pytest.mark.parametrize("family", ["SwinIR", "DAT", "SCUNet"])
def test_other_families_by_their_tensors(tmp_path, family):
    """Spec images.md 9.1: what a folder is called does not matter."""
    state, scale = networks.of_spandrel(family)
    built = load_network(networks.write(tmp_path / "x.pth", {"params": state}))
    assert (built.architecture, built.scale) == (family, scale)
    with torch.inference_mode():
        made = built.on(CPU, FULL).run(PIXELS)
    assert made.shape == (1, 3, 13 * scale, 10 * scale)
    assert made.dtype is FULL


@needs_spandrel
def test_a_damaged_file_of_theirs_is_refused():
    state, _ = networks.of_spandrel("SwinIR")
    del state["conv_after_body.weight"]
    with pytest.raises(CheckpointError) as caught:
        build(state, "x.pth")
    assert len(str(caught.value)) < 300
