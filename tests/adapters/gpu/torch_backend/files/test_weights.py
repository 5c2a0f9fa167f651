"""Spec networks.md 1.4: what is read of a file, and how bad files are refused."""

import json
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.domain.errors import CheckpointError

pytestmark = pytest.mark.torch

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(4).half()}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    return path


def same(weights):
    return set(weights) == set(TENSORS) and all(
        torch.equal(weights[name], tensor) and weights[name].dtype == tensor.dtype
        for name, tensor in TENSORS.items()
    )


@pytest.mark.parametrize("mmap", [True, False])
def test_safetensors(path, mmap):
    weights = read_weights(path, mmap=mmap)
    assert same(weights)
    assert weights.shapes() == {"a.weight": (2, 3), "b.bias": (4,)}


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int64,
     torch.int16, torch.uint8, torch.bool],
)  # fmt: skip
def test_elements_of_every_type(tmp_path, dtype):
    bits = torch.randint(0, 2, (48,), dtype=torch.uint8)
    tensors = {"a": bits.view(dtype).reshape(2, -1), "none": torch.empty(0, 3, dtype=dtype)}
    tensors["scalar"] = tensors["a"][0, 0].clone()
    save_file(tensors, tmp_path / "m.safetensors")
    weights = read_weights(tmp_path / "m.safetensors")
    assert {name: tuple(each.shape) for name, each in tensors.items()} == weights.shapes()
    for name, tensor in tensors.items():
        assert (weights[name].dtype, weights[name].shape) == (dtype, tensor.shape)
        same_bytes = weights[name].reshape(-1).view(torch.uint8) == tensor.reshape(-1).view(
            torch.uint8
        )
        assert same_bytes.all()


def test_a_file_is_not_in_memory_before_a_tensor_is_asked_for(path, tmp_path):
    """One that is replaced meanwhile is read to the end as it was."""
    weights = read_weights(path)
    save_file({name: tensor * 0 for name, tensor in TENSORS.items()}, tmp_path / "new.safetensors")
    (tmp_path / "new.safetensors").replace(path)
    assert same(weights)


def test_a_file_that_is_cut_while_it_is_read(path):
    weights = read_weights(path)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 9)
    with pytest.raises(CheckpointError, match="cut off while it was read") as refused:
        dict(weights)
    assert refused.value.tensor in TENSORS


@pytest.mark.parametrize("wrapper", ["module.", "model.", "state_dict.module."])
@pytest.mark.parametrize("name", ["m.safetensors", "m.ckpt"])
def test_what_a_trainer_wrapped_the_model_in_is_taken_off(tmp_path, wrapper, name):
    inside = (
        "model.diffusion_model.input_blocks.0.0.weight",
        "first_stage_model.quant_conv.bias",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    )
    old = inside[2].replace("text_model.", "")
    tensors = {wrapper + each: torch.ones(1) for each in (*inside[:2], old)}
    if name.endswith("ckpt"):
        torch.save({"state_dict": tensors}, tmp_path / name)
    else:
        save_file(tensors, tmp_path / name)
    assert set(read_weights(tmp_path / name)) == set(inside)


def test_metadata(tmp_path):
    save_file(TENSORS, tmp_path / "m.safetensors", {"modelspec.title": "Name"})
    assert read_weights(tmp_path / "m.safetensors").metadata == {"modelspec.title": "Name"}


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.CKPT"])
@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("modern", [True, False])
def test_torch_files(tmp_path, name, wrap, modern):
    """A top-level `state_dict` is unwrapped; what is no tensor is passed over."""
    content = {"state_dict": TENSORS, "epoch": 3} if wrap else {**TENSORS, "epoch": 3}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=modern)
    assert same(read_weights(tmp_path / name))


def test_old_text_encoder_names_are_rewritten(tmp_path):
    old = "cond_stage_model.transformer."
    names = ["embeddings.x", "encoder.layers.0.y", "final_layer_norm.z", "text_model.final.w"]
    save_file({old + name: torch.ones(1) for name in names}, tmp_path / "m.safetensors")
    assert set(read_weights(tmp_path / "m.safetensors")) == {
        f"{old}text_model.embeddings.x",
        f"{old}text_model.encoder.layers.0.y",
        f"{old}text_model.final_layer_norm.z",
        f"{old}text_model.final.w",
    }


def test_a_missing_tensor_is_named(path):
    with pytest.raises(CheckpointError) as refused:
        read_weights(path)["c.weight"]
    assert (refused.value.file, refused.value.tensor) == (str(path), "c.weight")


def test_a_truncated_file_names_the_tensor_that_is_cut(path):
    path.write_bytes(path.read_bytes()[:-3])
    header = json.loads(path.read_bytes()[8:].split(b"}}")[0] + b"}}")
    last = max(header, key=lambda name: header[name]["data_offsets"][1])
    with pytest.raises(CheckpointError, match="truncated") as refused:
        read_weights(path)
    assert (refused.value.file, refused.value.tensor) == (str(path), last)


def with_header(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"1234567", "7 bytes long"),
        (b"\xff" * 100, "claims a header"),
        (with_header(b"{}", 1 << 40), "claims a header"),
        (with_header(b"{}", 50), "truncated within its header"),
        (with_header(b"not json"), "not JSON"),
        (with_header(b"\xff\xfe"), "not JSON"),
        (with_header(b"[" * 100_000), "not JSON"),
        (with_header(b"[1]"), "not a JSON object"),
        (with_header(b'{"x": {}, "x": {}}'), "not JSON"),  # readers differ in which they take
        (with_header(b"{}"), "no tensors"),
        (with_header(b'{"x": 5}'), "malformed"),
        (with_header(b'{"x": {"data_offsets": [4, 0]}}'), "malformed"),
        (with_header(b'{"x": {"data_offsets": [0, "4"]}}'), "malformed"),
        (with_header(b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,0]}}'), "not a sound"),
        (with_header(b'{"x":{"dtype":"Q7","shape":[0],"data_offsets":[0,0]}}'), "not a sound"),
        (with_header(b'{"x":{"dtype":"U64","shape":[0],"data_offsets":[0,0]}}'), "type U64"),
        (b"<!DOCTYPE html><html>404: Not Found</html>", "claims a header"),
        (b"version https://git-lfs.github.com/spec/v1", "claims a header"),
    ],
)
def test_garbage_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refused:
        read_weights(path)
    assert refused.value.file == str(path)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\3\4" + b"\0" * 99, b"garbage", b"\x80\2"])
def test_garbage_in_a_torch_file_is_refused(tmp_path, content):
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        read_weights(path)
    assert refused.value.file == str(path)


@pytest.mark.parametrize("content", [[TENSORS], torch.ones(3), {"state_dict": {"epoch": 3}}])
def test_a_torch_file_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "m.ckpt")
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / "m.ckpt")


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("plain_pickle", [True, False])
def test_no_code_of_a_file_runs(tmp_path, plain_pickle):
    path, target = tmp_path / "evil.ckpt", tmp_path / "written"
    if plain_pickle:
        path.write_bytes(pickle.dumps({"state_dict": Bomb(target)}, protocol=2))
    else:
        torch.save({"state_dict": {**TENSORS, "x": Bomb(target)}}, path)
    with pytest.raises(CheckpointError, match="which no tensors need"):
        read_weights(path)
    assert not target.exists()


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "link.safetensors").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.ckpt")
    (tmp_path / "kernel.ckpt").symlink_to("/proc/self/environ")
    for name, message in {
        "nothing.safetensors": "cannot be read",
        "nothing.ckpt": "cannot be read",
        "folder.ckpt": "is no regular file",
        "link.safetensors": "is no regular file",
        "pipe.ckpt": "is no regular file",
        "kernel.ckpt": "is empty",
    }.items():
        with pytest.raises(CheckpointError, match=message):
            read_weights(tmp_path / name)
