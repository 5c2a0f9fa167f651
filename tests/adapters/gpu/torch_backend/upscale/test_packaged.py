"""Real-ESRGAN's weights out of ncnn's format (deps.md)."""

import struct

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.upscale import packaged
from hexfusion.adapters.gpu.torch_backend.upscale.loading import build
from hexfusion.adapters.gpu.torch_backend.upscale.packaged import packaged_file, read_packaged
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.upscale import networks

pytestmark = pytest.mark.torch


def ncnn(folder, state, half=True):
    """The network as ncnn's converter writes it."""
    lines, data = [], b""
    for name in dict.fromkeys(each.rpartition(".")[0] for each in state):
        weight = state[f"{name}.weight"]
        if weight.dim() == 1:
            lines.append(f"PReLU p 1 1 a b 0={weight.numel()}")
            data += weight.numpy().tobytes()
            continue
        made, _, side, _ = weight.shape
        activation = "9=2 -23310=1,2.000000e-01"
        lines.append(
            f"Convolution c 1 1 a b 0={made} 1={side} 4=1 5=1 6={weight.numel()} {activation}"
        )
        lines.append("Split s 1 2 a b c")
        numbers = (weight.half() if half else weight).numpy().tobytes()
        data += struct.pack("<I", 0x01306B47 if half else 0) + numbers
        data += bytes(-len(numbers) % 4)
        data += state[f"{name}.bias"].numpy().tobytes()
    param = folder / "net.param"
    param.write_text("\n".join(["7767517", f"{len(lines)} 9", *lines]))
    param.with_suffix(".bin").write_bytes(data)
    return param


@pytest.mark.parametrize("state", [networks.esrgan(), networks.compact()])
@pytest.mark.parametrize("half", [True, False])
def test_round_trip(tmp_path, state, half):
    read = read_packaged(ncnn(tmp_path, state, half))
    assert list(read) == list(state)
    for name, tensor in state.items():
        weight = half and tensor.dim() == 4
        assert torch.equal(read[name].float(), tensor.half().float() if weight else tensor), name
    assert build(read, "x").scale == 4


def test_damaged_files_are_refused(tmp_path):
    param = ncnn(tmp_path, networks.esrgan())
    data = param.with_suffix(".bin").read_bytes()
    for content in (data[:-1], data + b"\0", b"", data[:100], b"\1\2\3\4" + data[4:]):
        param.with_suffix(".bin").write_bytes(content)
        with pytest.raises(CheckpointError):
            read_packaged(param)
    param.write_text("hello")
    with pytest.raises(CheckpointError, match="no ncnn network"):
        read_packaged(param)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_packaged(tmp_path / "absent.param")


def test_other_models_are_not_packaged():
    assert packaged_file("RealESRGAN_x2plus") is None


@pytest.mark.parametrize(
    ("stem", "convolutions"), [("RealESRGAN_x4plus", 351), ("RealESRGAN_x4plus_anime_6B", 96)]
)
def test_the_real_weights(stem, convolutions):
    """No byte is left over, and every tensor has its place in the network."""
    param = packaged_file(stem)
    if param is None:
        pytest.skip(f"the weights are absent: {packaged.EXTRA}")
    state = read_packaged(param)
    assert len(state) == 2 * convolutions
    built = build(state, stem)
    assert (built.architecture, built.scale) == ("ESRGAN", 4)
    with torch.inference_mode():
        grey = built.on(torch.device("cpu"), torch.float32).run(torch.full((1, 3, 16, 16), 0.5))
    assert (grey - 0.5).abs().mean() < 0.05  # trained weights keep a plain picture plain
