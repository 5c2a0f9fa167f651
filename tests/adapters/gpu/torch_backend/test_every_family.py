"""Every family from one file, in every precision: spec networks.md 1.4; docs/families.md.

Random weights, shrunken in the quick tests; of the true size in the slow ones, which write
gigabytes and delete them again.
"""

from pathlib import Path

import psutil
import pytest
import torch
from PIL.Image import Image
from PIL.Image import new as new_image
from safetensors.torch import load_file, save_file

from benchmarks import harness
from benchmarks.families import PROVEN, measure
from benchmarks.family_files import KINDS, Kind, by_name, write_random
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.registry import FAMILIES
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.application.ports.inference import Sources
from hexfusion.domain.checkpoints import Checkpoint
from tests.contracts.inference import Witness, difference, from_picture, made_from, plan, sources
from tests.contracts.upscaler import photo
from tests.sight import assert_differ, assert_wide

pytestmark = pytest.mark.torch

FIRST = "model.diffusion_model.input_blocks.0.0.weight"
BY_NAME = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def backend() -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL)


def half_masked() -> Image:
    half = new_image("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    return half


def made(backend: TorchInference, path: Path, kind: Kind) -> Image:
    """A picture of one step, from prompt to pixels."""
    half = half_masked()
    wanted, start = plan(Checkpoint(name=path.name, filename=str(path)), steps=1), None
    if kind.from_picture:
        # Not flat: of what is equal everywhere a norm makes whatever rounding left of it.
        wanted, start = (
            from_picture(wanted),
            Sources([photo(64, 64)], half if kind.masked else None),
        )
    (picture,) = backend.render(wanted, Witness(), start).pictures
    assert_wide(picture)
    return picture


def test_every_family_that_runs_is_tried():
    tried = {kind.family for kind in KINDS}
    assert tried == {family.name for family in FAMILIES if isinstance(family, Family)}
    assert [kind.name for kind in KINDS] == list(PROVEN)


@BY_NAME
def test_its_true_layout_is_recognised(kind):
    found = infer_architecture(Shapes("m.safetensors", kind.layout()), OriginalConfig())
    assert found.family.name == kind.family


@BY_NAME
def test_a_file_of_mixed_precisions_makes_a_picture(backend, tmp_path, kind):
    path = tmp_path / "m.safetensors"
    write_random(path, kind, torch.float32, torch.float16, torch.bfloat16, small=True)
    assert made(backend, path, kind).size == (64, 64)


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if kind.masked])
def test_what_the_mask_leaves_is_shown_to_those_that_inpaint(backend, tmp_path, name):
    """Spec images.md 6: at full strength nothing else of the picture is there."""
    path = tmp_path / "m.safetensors"
    write_random(path, by_name(name), torch.float32, small=True)
    tensors = load_file(path)
    tensors[FIRST][:, 4:] *= 5  # what is beside the latent
    save_file(tensors, path)
    half = half_masked()
    first = plan(Checkpoint(name=name, filename=str(path)), steps=1)
    wanted = from_picture(first, strength=1.0, content="nothing")
    masks = (half, half.rotate(180), half)
    left, right, again = (made_from(backend, wanted, sources(mask=mask))[0] for mask in masks)
    assert difference(left, again) == 0
    assert_differ(left, right)


def test_the_page_has_a_row_for_each():
    lines = (harness.ROOT / "docs/families.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("|")[1].strip() for line in lines if line.startswith("| ")}
    assert rows >= set(PROVEN)


@pytest.mark.slow
@BY_NAME
def test_a_file_of_any_precision_makes_the_same_picture(backend, tmp_path, kind):
    """Within what rounding the weights does to it: to 11 bits of mantissa, or to 8 of them, by
    which it is eight times as much."""
    path = tmp_path / "m.safetensors"
    write_random(path, kind, torch.float32, small=True)
    loaded = load_checkpoint(path)
    assert (loaded.family.name, loaded.prediction) == (kind.family, kind.prediction)
    whole = made(backend, path, kind)
    for dtype, most in ((torch.float16, 2), (torch.bfloat16, 16)):
        path = tmp_path / f"{dtype}.safetensors"
        write_random(path, kind, dtype, small=True)
        assert difference(whole, made(backend, path, kind)) <= most


@pytest.mark.slow
@BY_NAME
def test_the_true_size_loads_and_makes_a_step(tmp_path, kind):
    """Offline, in a process of its own; loading takes little more than what is then held."""
    row = measure(kind.name, tmp_path) if psutil.virtual_memory().available > 12e9 else None
    if row is None:
        pytest.skip("needs 12 GB of memory")
    assert row.file_bytes > 2e9
    assert row.overhead < 1.3
