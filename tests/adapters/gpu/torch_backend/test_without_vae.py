"""Checkpoints without a VAE of their own: with another file's they draw, without any they are
refused by name. Source: spec networks.md 1.6, where A1111 builds every network
and then draws by random weights.

The right picture is that of the whole checkpoint: its VAE is what the other file holds.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.family_files import KINDS, by_name, write_random
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders import taesd
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placement, Placing
from hexfusion.application.ports.inference import Sources
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError, MissingVae
from hexfusion.domain.plan import Plan, PreviewPlan, RefinerPlan
from hexfusion.domain.vaes import VaeFile
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, vae_layout, write_small
from tests.contracts.inference import Witness, from_picture, plan, with_hires
from tests.contracts.upscaler import photo
from tests.sight import assert_differ, assert_wide, furthest

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
PREFIX = "first_stage_model."
BY_NAME = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
SMALL_VAE = vae_layout(SMALL["vae_channels"], SMALL["vae_blocks"])


@pytest.fixture(scope="module")
def backend() -> TorchInference:
    return TorchInference(CPU, FULL)


def named(path: Path) -> Checkpoint:
    return Checkpoint(name=path.name, filename=str(path))


def vae_named(path: Path) -> VaeFile:
    return VaeFile(name=path.name, filename=str(path))


def split(whole: Path, bare: Path, vae: Path) -> None:
    """Write the checkpoint without its VAE, and the VAE alone."""
    tensors = load_file(whole)
    own = {name.removeprefix(PREFIX): each for name, each in tensors.items() if PREFIX in name}
    rest = {name: each for name, each in tensors.items() if PREFIX not in name}
    for path, content in ((bare, rest), (vae, own)):
        if path.suffix == ".safetensors":
            save_file(content, path)
        else:
            torch.save({"state_dict": content}, path)
    for beside in whole.parent.glob("*_stats.*"):  # an unCLIP-L's statistics
        beside.with_name(beside.name.replace(whole.stem, bare.stem)).write_bytes(
            beside.read_bytes()
        )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SD1 as a whole, without its VAE, and its VAE; and two other VAEs."""
    folder = tmp_path_factory.mktemp("files")
    write_small(folder / "whole.safetensors")
    split(folder / "whole.safetensors", folder / "bare.safetensors", folder / "own.safetensors")
    for seed in (5, 6):
        save_file(random_tensors(SMALL_VAE, seed), folder / f"vae{seed}.safetensors")
    return folder


def using(wanted: Plan, vae: Path | None) -> Plan:
    return msgspec.structs.replace(wanted, vae=vae and vae_named(vae))


def made(backend: TorchInference, wanted: Plan, start: Sources | None = None):
    (picture,) = backend.render(wanted, Witness(), start).pictures
    return picture


@BY_NAME
def test_every_family_draws_with_another_files_vae_and_not_without(backend, tmp_path, kind):
    """Those that inpaint encode what they are given beside the latent by it, too."""
    whole, bare = tmp_path / "whole.safetensors", tmp_path / "bare.safetensors"
    vae = tmp_path / "vae.safetensors"
    write_random(whole, kind, torch.float32, small=True)
    split(whole, bare, vae)
    start, wanted = None, [plan(named(path), steps=1) for path in (whole, bare)]
    if kind.from_picture:
        wanted, start = [from_picture(each) for each in wanted], Sources([photo(64, 64)])
    right = made(backend, wanted[0], start)
    assert_wide(right)
    assert furthest(made(backend, using(wanted[1], vae), start), right) == 0
    with pytest.raises(
        MissingVae, match=r"'bare.safetensors' holds no VAE.*bare\.vae\.safetensors"
    ):
        backend.render(wanted[1], Witness(), start)


def test_it_is_refused_before_anything_is_drawn(backend, files):
    witness = Witness()
    with pytest.raises(MissingVae) as refused:
        backend.render(plan(named(files / "bare.safetensors")), witness)
    assert witness.heard == []
    assert refused.value.field == "sd_vae"


@pytest.mark.parametrize("ending", [".ckpt", ".pt"])
def test_torch_files(backend, files, tmp_path, ending):
    bare, vae = tmp_path / "bare.ckpt", tmp_path / f"vae{ending}"
    split(files / "whole.safetensors", bare, vae)
    right = made(backend, plan(named(files / "whole.safetensors")))
    assert furthest(made(backend, using(plan(named(bare)), vae)), right) == 0


Change = Callable[[Plan], Plan]


@pytest.mark.parametrize(
    "change",
    [
        from_picture,
        with_hires,
        lambda first: with_hires(first, upscaler="Lanczos"),
        lambda first: msgspec.structs.replace(first, preview=PreviewPlan(method="Full")),
    ],
    ids=["img2img", "hires by latents", "hires by pixels", "previews"],
)
def test_whatever_is_encoded_or_decoded(backend, files, change: Change):
    """Pictures and previews are those of the whole checkpoint."""
    found = []
    for name in ("whole", "bare"):
        wanted = change(plan(named(files / f"{name}.safetensors")))
        vae = vae_named(files / "own.safetensors") if name == "bare" else None
        hires = wanted.hires and msgspec.structs.replace(wanted.hires, vae=vae)
        wanted = msgspec.structs.replace(wanted, vae=vae, hires=hires)
        witness, start = Witness(), Sources([photo(64, 64)]) if wanted.init else None
        (picture,) = backend.render(wanted, witness, start).pictures
        found.append((picture, [each() for each in witness.previews]))
    assert_wide(found[0][0])
    assert furthest(found[0][0], found[1][0]) == 0
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert furthest(one, other) == 0


def test_a_refiner_without_a_vae_is_refused_and_with_one_draws(backend, files, tmp_path):
    """What a refiner has finished is decoded by its VAE, as in A1111."""
    first = plan(named(files / "whole.safetensors"))
    other = RefinerPlan(checkpoint=named(files / "bare.safetensors"), switch_at=0.5)
    with pytest.raises(MissingVae, match=r"bare\.safetensors"):
        backend.render(msgspec.structs.replace(first, refiner=other), Witness())
    other = msgspec.structs.replace(other, vae=vae_named(files / "own.safetensors"))
    drawn = made(backend, msgspec.structs.replace(first, refiner=other))
    assert furthest(drawn, made(backend, first)) == 0  # the refiner is the model itself


PARTS = {
    "encoder only": lambda name: f"{PREFIX}decoder" not in name,
    "decoder only": lambda name: f"{PREFIX}encoder" not in name,
    "without one tensor": lambda name: name != f"{PREFIX}decoder.up.2.upsample.conv.bias",
    "without the small convolutions": lambda name: "quant_conv" not in name,
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_vae_is_named_and_another_file_takes_its_place(backend, files, tmp_path, part):
    path = tmp_path / "partly.safetensors"
    kept = PARTS[part]
    tensors = load_file(files / "whole.safetensors")
    save_file({name: each for name, each in tensors.items() if kept(name)}, path)
    with pytest.raises(
        MissingVae, match=r"partly\.safetensors' holds only a part of a VAE, without tensor '"
    ) as refused:
        backend.render(plan(named(path)), Witness())
    missing = next(name for name in tensors if name in str(refused.value))
    assert not kept(missing)
    right = made(backend, plan(named(files / "whole.safetensors")))
    own = files / "own.safetensors"
    assert furthest(made(backend, using(plan(named(path)), own)), right) == 0


def test_a_vae_that_is_damaged_is_an_error_as_before(tmp_path):
    name = f"{PREFIX}decoder.conv_out.weight"
    write_small(tmp_path / "m.safetensors", **{name: torch.zeros(3, 3)})
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(tmp_path / "m.safetensors")
    assert refused.value.tensor == name


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (random_tensors(vae_layout((32, 64, 64, 64), 1, latents=8)), "latents of 8 channels"),
        (random_tensors(vae_layout((32, 64, 64), 1)), "4 times smaller, not 8 times"),
        (random_tensors(vae_layout((32, 64, 80, 80), 1)), "80 channels"),
        ({"unet.conv_in.weight": torch.ones(3)}, r"encoder\.down\.0\.block\.0.*is missing"),
        ({**random_tensors(SMALL_VAE), "x": torch.ones(1)}, "'x': has no place in the VAE"),
        (
            {k: v for k, v in random_tensors(SMALL_VAE).items() if "decoder.mid" not in k},
            r"'decoder\.mid.*is missing",
        ),
    ],
    ids=["latents", "factor", "groups", "no VAE", "more", "less"],
)
def test_a_file_that_cannot_decode_its_latents_is_refused_by_name(
    backend, files, tmp_path, tensors: Mapping[str, Tensor], words
):
    save_file(dict(tensors), tmp_path / "odd.safetensors")
    wanted = using(plan(named(files / "bare.safetensors")), tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=rf"odd\.safetensors.*{words}"):
        backend.render(wanted, Witness())


def test_a_vae_of_another_size_draws(backend, files, tmp_path):
    """The checkpoint says nothing of the VAE's inside; only its latents must be those."""
    save_file(random_tensors(vae_layout((64, 32, 64, 96), 2)), tmp_path / "other.safetensors")
    wanted = plan(named(files / "bare.safetensors"))
    drawn = made(backend, using(wanted, tmp_path / "other.safetensors"))
    assert_differ(drawn, made(backend, using(wanted, files / "own.safetensors")))


def test_loading_it_alone_is_told_and_is_no_error(backend, files, caplog):
    """Clients choose a checkpoint first, and its VAE with each job."""
    bare = named(files / "bare.safetensors")
    with caplog.at_level(logging.WARNING):
        backend.load(bare)
    assert backend.loaded() == bare
    assert "bare.safetensors holds no VAE: jobs must choose one (sd_vae)" in caplog.text
    caplog.clear()
    backend.load(bare, vae_named(files / "own.safetensors"))
    assert "holds no VAE" not in caplog.text


def test_its_own_file_with_a_vae_in_place_of_the_one_without_is_seen(backend, files, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes((files / "bare.safetensors").read_bytes())
    with pytest.raises(MissingVae):
        backend.render(plan(named(path)), Witness())
    path.write_bytes((files / "whole.safetensors").read_bytes())
    right = made(backend, plan(named(files / "whole.safetensors")))
    assert furthest(made(backend, plan(named(path))), right) == 0


def test_low_memory_places_what_there_is(files):
    """--medvram and --lowvram copy networks to the device call by call."""
    model = load_checkpoint(files / "bare.safetensors")
    for placement in (Placement.NETWORKS, Placement.LAYERS):
        assert Placing(CPU, placement).settle(model) is model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TorchInference:
    """A backend with TAESD, of random weights."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "VAE-taesd").mkdir()
    torch.manual_seed(1)
    torch.save(taesd.decoder().state_dict(), folder / "VAE-taesd/taesd_decoder.pth")
    torch.save(taesd.encoder().state_dict(), folder / "VAE-taesd/taesd_encoder.pth")
    return TorchInference(CPU, FULL, models=folder)


def test_taesd_alone_needs_no_vae(small, files):
    """Options sd_vae_encode_method and sd_vae_decode_method; previews by the VAE are made by the
    next rougher method."""
    found = []
    for name in ("whole", "bare"):
        wanted = plan(named(files / f"{name}.safetensors"))
        wanted = msgspec.structs.replace(
            wanted, decode_method="TAESD", preview=PreviewPlan(method="Full")
        )
        witness = Witness()
        (picture,) = small.render(wanted, witness).pictures
        found.append(picture)
        previews = [each() for each in witness.previews]
        assert (previews[-1].width == 64) is (name == "whole")
    assert furthest(*found) == 0


@pytest.mark.parametrize("encode", ["Full", "TAESD"])
def test_taesd_that_only_decodes_needs_a_vae_for_pictures(small, files, encode):
    wanted = from_picture(plan(named(files / "bare.safetensors")))
    wanted = msgspec.structs.replace(wanted, decode_method="TAESD", encode_method=encode)
    start = Sources([photo(64, 64)])
    if encode == "TAESD":
        assert made(small, wanted, start).size == (64, 64)
    else:
        with pytest.raises(MissingVae):
            small.render(wanted, Witness(), start)


def test_inpainting_needs_its_encoder_with_taesd_too(small, tmp_path):
    kind = by_name(next(each.name for each in KINDS if each.masked and each.family[:3] == "SD1"))
    write_random(tmp_path / "whole.safetensors", kind, torch.float32, small=True)
    split(*(tmp_path / f"{name}.safetensors" for name in ("whole", "bare", "vae")))
    wanted = plan(named(tmp_path / "bare.safetensors"))
    wanted = msgspec.structs.replace(wanted, decode_method="TAESD", encode_method="TAESD")
    witness = Witness()
    with pytest.raises(MissingVae):
        small.render(wanted, witness)
    assert witness.heard == []
