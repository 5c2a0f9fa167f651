"""Previews in the four methods, and small networks in the VAE's stead (spec images.md 14).

At the last step of Euler the prediction is the final latent: a preview of it by some method is what
a result by that method must be.
"""

from pathlib import Path

import msgspec
import pytest
import torch
from PIL import ImageChops
from PIL.Image import Image, Resampling
from safetensors.torch import save_file
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders import taesd
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.approximation import Approximation
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError, ModelUnavailable
from hexfusion.domain.plan import Plan, PreviewMethod, PreviewPlan, VaeMethod
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout
from tests.contracts.inference import Witness, from_picture, guided, plan, sources, with_hires
from tests.sight import assert_differ, furthest

pytestmark = pytest.mark.torch

STARTER = Path("adapters/storage/assets/hexfusion-starter.safetensors")
SIZES = {"Full": 64, "TAESD": 64, "Approx NN": 16, "Approx cheap": 8}


def backend(models: Path) -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL, models=models)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = tmp_path_factory.mktemp("checkpoint") / "one.safetensors"
    save_file(random_tensors(sd1_layout(**SMALL), 1), path)
    return Checkpoint(name=path.name, filename=str(path))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with random weights for all methods."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("VAE-approx", "VAE-taesd"):
        (folder / name).mkdir()
    torch.manual_seed(1)
    torch.save(loud(Approximation()), folder / "VAE-approx/model.pt")
    torch.save(loud(taesd.decoder()), folder / "VAE-taesd/taesd_decoder.pth")
    torch.save(loud(taesd.encoder()), folder / "VAE-taesd/taesd_encoder.pth")
    return folder


def loud(network: nn.Module) -> dict[str, Tensor]:
    """Weights with which its layers hand on what they are given about as loud as it was: torch's
    own make all that such a network draws nearly one grey."""
    state = network.state_dict()
    return {name: each * 2 if each.ndim == 4 else each for name, each in state.items()}


@pytest.fixture(scope="module")
def engine(models: Path) -> TorchInference:
    return backend(models)


def shown_by(each: Plan, method: PreviewMethod, **more: object) -> Plan:
    return msgspec.structs.replace(each, preview=PreviewPlan(method=method, **more))


def decoded_by(each: Plan, method: VaeMethod) -> Plan:
    return msgspec.structs.replace(each, decode_method=method)


def same(one: Image, other: Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


@pytest.mark.parametrize("method", SIZES)
def test_each_method_shows_in_its_own_size(engine, checkpoint, method):
    """And a batch as a grid, unless the option wants the first picture alone."""
    witness, side = Witness(), SIZES[method]
    engine.render(shown_by(plan(checkpoint, seeds=(1, 2, 3, 4)), method), witness)
    grid = witness.previews[-1]()
    assert grid.size == (2 * side, 2 * side)
    engine.render(shown_by(plan(checkpoint), method, grid=False), witness)
    first = witness.previews[-1]()
    assert first.size == (side, side)
    whole = [grid.crop((x, y, x + side, y + side)) for y in (0, side) for x in (0, side)]
    assert_differ(*whole)
    assert furthest(first, whole[0]) <= 1  # of a batch of another size


@pytest.mark.parametrize("method", ["Full", "TAESD"])
def test_the_last_preview_is_the_picture(engine, checkpoint, method):
    """Without guidance, which previews do not show."""
    witness = Witness()
    unguided = guided(plan(checkpoint), 1.0)
    each = shown_by(decoded_by(unguided, method), method)
    (picture,) = engine.render(each, witness).pictures
    assert same(picture, witness.previews[-1]())
    other = "TAESD" if method == "Full" else "Full"
    (differing,) = engine.render(decoded_by(each, other), Witness()).pictures
    assert_differ(picture, differing)


@pytest.mark.parametrize("method", ["TAESD", "Approx NN"])
def test_where_the_network_is_missing_the_cheap_one_shows(tmp_path, checkpoint, method):
    witness = Witness()
    backend(tmp_path).render(shown_by(plan(checkpoint), method), witness)
    shown = witness.previews[-1]()
    backend(tmp_path).render(shown_by(plan(checkpoint), "Approx cheap"), witness)
    assert same(shown, witness.previews[-1]())


def test_other_predictions_are_shown_and_change_no_picture(engine):
    """Of the starter, which heeds prompts. The combined prediction is guided, as the sampler goes
    on with it: at Euler's last step that is the picture."""
    starter = Checkpoint(name=STARTER.name, filename=str(STARTER))
    pictures, early, last = [], [], []
    for content in ("Prompt", "Negative prompt", "Combined"):
        witness = Witness()
        wanted = shown_by(plan(starter, steps=2), "Full", content=content)
        pictures += engine.render(wanted, witness).pictures
        early.append(witness.previews[0]())
        last.append(witness.previews[-1]())
    assert same(pictures[0], pictures[1]) and same(pictures[0], pictures[2])
    assert_differ(*early)  # where there is noise to be guided in; at last they are nearly one
    assert same(last[2], pictures[2]) and not same(last[0], pictures[0])


@pytest.mark.parametrize("method", ["Full", "Approx NN"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_fast_interrupt_decodes_as_previews_do(engine, checkpoint, method, fast):
    """live_preview_fast_interrupt: the picture has its size all the same, and a skip is none."""
    wanted = shown_by(plan(checkpoint), method, fast_interrupt=fast)
    witness = Witness(Verdict.INTERRUPT, at=1)
    (picture,) = engine.render(wanted, witness).pictures
    assert picture.size == (64, 64)
    if method != "Full":
        enlarged = witness.previews[-1]().resize((64, 64), Resampling.BICUBIC)
        assert same(picture, enlarged) == fast
    (skipped,) = engine.render(wanted, Witness(Verdict.SKIP, at=1)).pictures
    if fast and method != "Full":
        assert_differ(picture, skipped)
    else:
        assert same(picture, skipped)


def test_encoding_by_taesd_draws_nothing(engine, checkpoint):
    """Spec sampling.md 6.7. With all of the noise left out nothing but the latent is seen."""
    start = sources(2)
    first = from_picture(plan(checkpoint, seeds=(1, 2)), strength=0.01)
    wanted = shown_by(msgspec.structs.replace(first, encode_method="TAESD"), "TAESD")
    seen = []
    for seed in (1, 2):
        init = msgspec.structs.replace(wanted.init, seed=seed)
        pictures = engine.render(
            msgspec.structs.replace(wanted, init=init), Witness(), start
        ).pictures
        seen.append(pictures[0])
    assert same(*seen)
    (full, _) = engine.render(first, Witness(), start).pictures
    assert_differ(full, seen[0])


def test_hires_fix_goes_through_taesd_both_ways(engine, checkpoint):
    first = msgspec.structs.replace(plan(checkpoint), hires=None)
    wanted = with_hires(first, upscaler="Lanczos")
    pictures = [
        engine.render(each, Witness()).pictures[0]
        for each in (
            wanted,
            decoded_by(wanted, "TAESD"),
            msgspec.structs.replace(decoded_by(wanted, "TAESD"), encode_method="TAESD"),
        )
    ]
    assert {picture.size for picture in pictures} == {(120, 120)}
    assert_differ(*pictures)


@pytest.mark.parametrize("part", ["decode", "encode"])
def test_a_missing_taesd_is_told_before_a_step_is_made(tmp_path, checkpoint, part):
    wanted = msgspec.structs.replace(plan(checkpoint), **{f"{part}_method": "TAESD"})
    witness = Witness()
    with pytest.raises(ModelUnavailable, match=f"VAE-taesd/taesd_{part}r.pth"):
        backend(tmp_path).render(wanted, witness)
    assert witness.heard == []


def test_a_broken_taesd_is_an_error_of_results_and_none_of_previews(tmp_path, checkpoint):
    path = tmp_path / "VAE-taesd/taesd_decoder.pth"
    path.parent.mkdir()
    torch.save({"1.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="taesd_decoder"):
        backend(tmp_path).render(decoded_by(plan(checkpoint), "TAESD"), Witness())
    witness = Witness()
    backend(tmp_path).render(shown_by(plan(checkpoint), "TAESD"), witness)
    assert witness.previews[-1]().size == (8, 8)
