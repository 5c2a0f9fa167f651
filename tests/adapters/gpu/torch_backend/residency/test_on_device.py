"""All of a checkpoint's networks are weighed and moved, whatever its family has."""

import threading
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.precision import FULL, HALF  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency.on_device import (  # noqa: E402
    CheckpointHandler,
    model_size,
    move_networks,
)
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing  # noqa: E402
from hexfusion.domain.checkpoints import Checkpoint  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import (  # noqa: E402
    SMALL,
    SMALL_SD2,
    SMALL_SDXL,
    sd1_layout,
    sdxl_layout,
    write,
)
from tests.adapters.gpu.torch_backend.layouts_vision import SMALL_DPT, SMALL_UNCLIP_H, depth_layout  # noqa: E402

pytestmark = pytest.mark.torch


def modules_in(thing, seen):
    """Every network that can be reached from here."""
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    if isinstance(thing, torch.nn.Module):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for each in thing:
            yield from modules_in(each, seen)
    elif is_dataclass(thing):
        for each in fields(thing):
            yield from modules_in(getattr(thing, each.name), seen)
    elif type(thing).__module__.startswith("hexfusion.adapters."):
        for each in vars(thing).values():
            yield from modules_in(each, seen)


def tensors_of(model):
    return {
        id(tensor): tensor
        for module in modules_in(model, set())
        for tensor in (*module.parameters(), *module.buffers())
    }.values()


def desk_of(device, precision=FULL):
    return CheckpointHandler(Placing(torch.device(device)), precision, threading.Lock())


LAYOUTS = {
    "SD1": sd1_layout(**SMALL),
    "SDXL": sdxl_layout(**SMALL_SDXL),
    "unCLIP": SMALL_UNCLIP_H,
    "depth": depth_layout(SMALL_SD2, SMALL_DPT),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "model.safetensors"
    write(file, LAYOUTS[request.param])
    return file


def test_every_tensor_is_weighed_once_and_moved(path):
    model = load_checkpoint(path)
    tensors = tensors_of(model)
    assert len(tensors) > 100
    assert model_size(model) == sum(tensor.nbytes for tensor in tensors)
    move_networks(model, torch.device("meta"))
    assert all(tensor.is_meta for tensor in tensors_of(model))


def test_what_it_will_take_is_told_from_its_file(path):
    checkpoint = Checkpoint(name=path.name, filename=str(path))
    desk = desk_of("cpu")
    size = desk.size(desk.load(checkpoint))
    assert 0.99 * size < desk.expected(checkpoint) < 1.5 * size
    assert desk_of("cpu", HALF).expected(checkpoint) < 0.8 * size


def test_of_a_file_that_is_none_nothing_is_told(tmp_path):
    path = tmp_path / "bad.safetensors"
    desk = desk_of("cpu")
    for _ in range(2):
        assert desk.expected(Checkpoint(name=path.name, filename=str(path))) == 0
        path.write_bytes(b"bad")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
def test_to_the_device_and_back(path):
    desk = desk_of("cuda")
    model = desk.load(Checkpoint(name=path.name, filename=str(path)))
    before = [tensor.cpu() for tensor in tensors_of(model)]
    desk.to_ram(model)
    assert {tensor.device.type for tensor in tensors_of(model)} == {"cpu"}
    desk.to_device(model)
    assert {tensor.device.type for tensor in tensors_of(model)} == {"cuda"}
    after = [tensor.cpu() for tensor in tensors_of(model)]
    assert all(map(torch.equal, before, after))
