"""The tensors of TorchScript archives, read without running anything."""

import io
import pickle
import zipfile

import pytest
import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.interrogate.torchscript_archive import (
    is_torchscript_archive,
    read_torchscript_archive,
)
from hexfusion.domain.errors import CheckpointError

pytestmark = pytest.mark.torch


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.turned = nn.Parameter(torch.randn(4, 5).half().T, requires_grad=False)
        self.register_buffer("count", torch.tensor(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Inner(), Inner())
        self.side = 224
        self.name = "x"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks[0](x)


@pytest.fixture
def saved(tmp_path):
    module = Outer().eval()
    path = tmp_path / "module.pt"
    torch.jit.script(module).save(path)
    return module, path


def test_it_holds_the_modules_own_tensors(saved):
    module, path = saved
    assert is_torchscript_archive(path)
    tensors = read_torchscript_archive(path)
    expected = module.state_dict()
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name]), name


def test_traced_modules_too(tmp_path):
    module = Outer().eval()
    path = tmp_path / "traced.pt"
    torch.jit.trace(module, torch.randn(1, 3)).save(path)
    assert torch.equal(
        read_torchscript_archive(path)["blocks.1.linear.weight"], module.blocks[1].linear.weight
    )


def test_other_files_are_none(tmp_path):
    plain, text = tmp_path / "plain.pt", tmp_path / "text.pt"
    torch.save({"a": torch.ones(2)}, plain)
    text.write_text("x")
    assert not is_torchscript_archive(plain)
    assert not is_torchscript_archive(text)


def rewritten(path, target, change):
    """The archive with some of its files changed, or left out for None."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if (data := change(name, old.read(name))) is not None:
                new.writestr(name, data)
    return target


class Evil:
    def __reduce__(self):
        return (open, ("/tmp/hexfusion-was-here", "w"))


EVIL = pickle.dumps({"weight": Evil()}, protocol=2)


@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: None if name.endswith("data.pkl") else data,
        lambda name, data: None if "/data/" in name else data,
        lambda name, data: data[:3] if "/data/" in name else data,
        lambda name, data: data[: len(data) // 2] if name.endswith("data.pkl") else data,
        lambda name, data: b"" if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02}." if name.endswith("data.pkl") else data,
        lambda name, data: EVIL if name.endswith("data.pkl") else data,
        lambda name, data: data.replace(b"FloatStorage", b"XloatStorage"),
    ],
    ids=["no list", "no bytes", "few bytes", "cut", "empty", "no module", "a call", "a kind"],
)
def test_damaged_ones_are_named(saved, tmp_path, change):
    target = rewritten(saved[1], tmp_path / "damaged.pt", change)
    with pytest.raises(CheckpointError, match=r"damaged\.pt"):
        read_torchscript_archive(target)


def test_no_call_is_made(saved, tmp_path, monkeypatch):
    """Of a function that the pickle names no more than its name is known."""
    called = []
    monkeypatch.setattr("builtins.open", lambda *a, **k: called.append(a) or io.BytesIO())
    target = tmp_path / "evil.pt"
    rewritten(saved[1], target, lambda n, d: EVIL if n.endswith("data.pkl") else d)
    called.clear()
    with pytest.raises(CheckpointError):
        read_torchscript_archive(target)
    assert not [each for each in called if "was-here" in str(each)]


def test_every_cut_of_the_list_is_refused(saved, tmp_path):
    with zipfile.ZipFile(saved[1]) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        data = archive.read(inside)
    for length in range(0, len(data) - 1, 7):
        target = rewritten(
            saved[1],
            tmp_path / "cut.pt",
            lambda n, d, length=length: d[:length] if n == inside else d,
        )
        with pytest.raises(CheckpointError):
            read_torchscript_archive(target)
