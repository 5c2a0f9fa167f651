"""Hires fix that enlarges with an upscaling network (spec images.md 4, sampling.md 6.4)."""

from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.upscaler_fake import FakeUpscaler
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.upscalers import Tiling, UpscaleSettings
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout
from tests.contracts.inference import Witness, plan, render, with_hires
from tests.sight import assert_differ

pytestmark = pytest.mark.torch


class Remembering(FakeUpscaler):
    def __init__(self):
        super().__init__(["zoom"])
        self.asked = []

    def upscale(self, picture, factor, name, settings, *advance):
        self.asked.append((picture.size, factor, name, settings))
        return super().upscale(picture, factor, name, settings, *advance)


@pytest.fixture
def upscaler():
    return Remembering()


@pytest.fixture
def backend(upscaler):
    return TorchInference(torch.device("cpu"), FULL, upscaler=upscaler)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path: Path = tmp_path_factory.mktemp("checkpoints") / "main.safetensors"
    save_file(random_tensors(sd1_layout(**SMALL), 0), path)
    return Checkpoint(name=path.name, filename=str(path), sha256="a" * 64)


def enlarged_by(upscaler, checkpoint, tile=0):
    wanted = with_hires(plan(checkpoint, steps=2), upscaler=upscaler)
    settings = UpscaleSettings(esrgan=Tiling(tile, 0))
    return msgspec.structs.replace(
        wanted, hires=msgspec.structs.replace(wanted.hires, upscaling=settings)
    )


def test_the_network_enlarges_each_picture(backend, upscaler, checkpoint):
    (zoomed,) = render(backend, enlarged_by("zoom", checkpoint))
    (lanczos,) = render(backend, enlarged_by("Lanczos", checkpoint))
    settings = UpscaleSettings(esrgan=Tiling(0, 0))
    assert upscaler.asked[0] == ((64, 64), 2.0, "zoom", settings)
    assert [each[2] for each in upscaler.asked] == ["zoom", "Lanczos"]
    assert zoomed.size == lanczos.size == (120, 120)
    assert_differ(zoomed, lanczos)


def test_none_needs_no_upscaler(backend, upscaler, checkpoint):
    render(backend, enlarged_by("None", checkpoint))
    assert upscaler.asked == []


def test_a_job_can_be_stopped_between_tiles(backend, checkpoint):
    """What there is comes back, enlarged without the network."""
    watch = Witness()
    tiles = 0

    def observe(step, of, preview):
        nonlocal tiles
        watch(step, of, preview)
        tiles += len(watch.heard) > 2
        return Verdict.INTERRUPT if tiles == 2 else Verdict.CONTINUE

    rendered = backend.render(enlarged_by("zoom", checkpoint, tile=16), observe)
    # Two steps of the first pass, two tiles of sixteen, and no step of the second pass.
    assert watch.heard == [(1, 4), (2, 4), (2, 4), (2, 4)]
    assert rendered.pictures[0].size == (120, 120)
    assert watch.previews[-1]().size == (64, 64)
