"""Jobs share networks, and none of them writes to one (ARCHITECTURE.md; spec networks.md 1.6)."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import Precision
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.on_device import model_size, networks_of
from hexfusion.application.ports.inference import Rendered, Sources, Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import NotANumber
from hexfusion.domain.extra_networks import Embedding
from hexfusion.domain.plan import (
    HypernetworkPlan,
    Hypertile,
    LoraPlan,
    NetworksPlan,
    NetworkTweaks,
    Plan,
    PreviewPlan,
    RefinerPlan,
)
from hexfusion.domain.vaes import VaeFile
from tests.adapters.gpu.torch_backend.extra_networks.files import deltas, write_lora
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL,
    random_tensors,
    sd1_layout,
    vae_layout,
    write_small,
)
from tests.contracts.inference import from_picture, pixels, plan, with_hires

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
HALF_VAE = Precision(torch.float32, torch.float16, torch.float32)
FIRST_CONVOLUTION = "encoder.conv_in.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints and a VAE, whose encoders overflow in float16 for white and not for grey; a
    LoRA, a hypernetwork and an embedding."""
    folder = tmp_path_factory.mktemp("models")
    layout = sd1_layout(**SMALL)
    # White adds up to about 135,000 in each channel, the grey of 128 to about 500.
    loud = torch.rand((32, 3, 3, 3), generator=torch.Generator().manual_seed(1)) * 10_000
    write_small(folder / "one.safetensors", **{f"first_stage_model.{FIRST_CONVOLUTION}": loud})
    save_file(random_tensors(layout, 5), folder / "other.safetensors")
    vae = random_tensors(vae_layout(SMALL["vae_channels"], SMALL["vae_blocks"]), 3)
    save_file({**vae, FIRST_CONVOLUTION: loud}, folder / "vae.safetensors")
    changed = [
        name for name in layout if name.endswith(("to_q.weight", "to_v.weight", "q_proj.weight"))
    ]
    write_lora(folder / "lora.safetensors", deltas(layout, changed))
    pair = {"linear.0.weight": torch.randn(96, 48), "linear.0.bias": torch.zeros(96),
            "linear.1.weight": torch.randn(48, 96), "linear.1.bias": torch.zeros(48)}  # fmt: skip
    torch.save({48: (pair, pair), "step": 1, "name": "x"}, folder / "hyper.pt")
    save_file({"emb_params": torch.randn(2, 48)}, folder / "catlike.safetensors")
    return folder


def checkpoint(folder: Path, name: str = "one.safetensors") -> Checkpoint:
    return Checkpoint(name=name, filename=str(folder / name))


def fresh() -> TorchInference:
    return TorchInference(
        CPU, HALF_VAE, limits=lambda: MemoryLimits(count=2), cached_vaes=lambda: 1
    )


def looking(step: int, of: int, preview: Callable[[], Image.Image]) -> Verdict:
    preview()
    return Verdict.CONTINUE


def drawn(backend: TorchInference, wanted: Plan, colour: str = "") -> Rendered:
    sources = Sources([Image.new("RGB", (64, 64), colour)]) if colour else None
    return backend.render(wanted, looking, sources)


@pytest.mark.parametrize("vae", [None, "vae.safetensors"])
def test_an_overflow_leaves_later_jobs_what_they_are_in_a_process_of_their_own(folder, vae) -> None:
    """And the bytes that the checkpoint is counted with as they were."""
    file = VaeFile(name=vae, filename=str(folder / vae)) if vae else None
    wanted = msgspec.structs.replace(
        from_picture(plan(checkpoint(folder), steps=2), strength=0.5), vae=file
    )
    alone = pixels(drawn(fresh(), wanted, "grey").pictures)
    backend = fresh()
    backend.load(checkpoint(folder), file)
    before = [each.size for each in backend.resident()]
    strict = msgspec.structs.replace(wanted, auto_vae_precision=False)
    with pytest.raises(NotANumber, match="VAE"):
        drawn(backend, strict, "white")
    drawn(backend, wanted, "white")
    assert pixels(drawn(backend, wanted, "grey").pictures) == alone
    with pytest.raises(NotANumber, match="VAE"):  # an earlier job's precision is not a later one's
        drawn(backend, strict, "white")
    assert [each.size for each in backend.resident()] == before
    with backend._residency.using(checkpoint(folder)) as (model,):
        used = backend._vaes.get(file, model)
        assert {each.dtype for each in used.parameters()} == {torch.float16}
        assert model_size(model) == before[0]


def test_what_is_tried_again_with_counts_and_goes_when_memory_is_short(folder) -> None:
    backend = fresh()
    wanted = from_picture(plan(checkpoint(folder), steps=2), strength=0.5)
    drawn(backend, wanted, "white")
    with backend._residency.using(checkpoint(folder)) as (model,):
        taken = 2 * sum(each.nbytes for each in model.vae.parameters())
        assert backend._residency._size() == backend.resident()[0].size + taken
        assert backend.free() == taken
        assert backend._residency._size() == backend.resident()[0].size


def jobs(folder: Path) -> Iterator[tuple[Plan, str]]:
    """Everything that a job can want of networks."""
    plain = plan(checkpoint(folder), steps=2)

    def changed(first: Plan = plain, **changes: object) -> Plan:
        return msgspec.structs.replace(first, **changes)

    yield changed(preview=PreviewPlan(method="Full")), ""
    yield from_picture(plain), "white"
    yield from_picture(changed(auto_vae_precision_bfloat16=True)), "white"
    vae = VaeFile(name="vae.safetensors", filename=str(folder / "vae.safetensors"))
    yield from_picture(changed(vae=vae)), "white"
    lora = LoraPlan(name="lora", path=str(folder / "lora.safetensors"))
    hyper = HypernetworkPlan(name="hyper", path=str(folder / "hyper.pt"), multiplier=0.5)
    word = Embedding(name="catlike", vectors=2, width=48, path=str(folder / "catlike.safetensors"))
    for functional in (False, True):
        networks = NetworksPlan(
            loras=(lora,), hypernetworks=(hyper,), embeddings=(word,), functional=functional
        )
        yield changed(plan(checkpoint(folder), prompts=["a catlike cat"]), networks=networks), ""
    tile = Hypertile(max_tile=128, seed=1)
    yield (
        changed(
            width=256, height=256, tweaks=NetworkTweaks(hypertile_unet=tile, hypertile_vae=tile)
        ),
        "",
    )
    yield changed(tweaks=NetworkTweaks(tiling=True, token_merging_ratio=0.5)), ""
    yield with_hires(plain), ""
    refiner = RefinerPlan(checkpoint=checkpoint(folder, "other.safetensors"), switch_at=0.5)
    yield changed(refiner=refiner), ""


def test_no_job_leaves_anything_in_what_jobs_share(folder) -> None:
    backend = fresh()
    every = list(jobs(folder))
    vae = every[3][0].vae
    names = ["one.safetensors", "other.safetensors"]
    with backend._residency.using(*(checkpoint(folder, name) for name in names)) as models:
        shared = [network for model in models for network in networks_of(model)]
        shared.append(backend._vaes.get(vae, models[0]))
        before = [marks(network) for network in shared]
        for wanted, colour in every:
            assert drawn(backend, wanted, colour).comments == ()
        assert backend._vaes.get(vae, models[0]) is shared[-1]
        for network, marked in zip(shared, before, strict=True):
            now = marks(network)
            assert {
                key for key in now.keys() | marked.keys() if now.get(key) != marked.get(key)
            } == set()


def marks(network: nn.Module) -> dict[str, object]:
    """All that makes a network compute what it computes: numbers, where and as what they lie, and
    for every module its class, hooks, children and attributes."""
    found: dict[str, object] = {}
    for path, module in network.named_modules(remove_duplicate=False):
        found[f"{path}:class"] = type(module)
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers"):
                for key, tensor in value.items():
                    found[f"{path}.{key}"] = mark(tensor)
            elif isinstance(value, dict):  # children and hooks
                found[f"{path}:{name}"] = [(key, id(each)) for key, each in value.items()]
            elif isinstance(value, str | int | float | bool | tuple | None):
                found[f"{path}:{name}"] = value
            else:
                found[f"{path}:{name}"] = id(value)
    return found


def mark(tensor: torch.Tensor | None) -> object:
    if tensor is None:
        return None
    numbers = tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy()
    content = hashlib.sha256(numbers).hexdigest()
    about = tensor.dtype, tensor.device, tuple(tensor.shape), tensor.stride(), tensor.requires_grad
    return id(tensor), tensor.data_ptr(), about, content


@pytest.mark.parametrize(
    "write",
    [
        lambda network: network.weight.add_(1e-3),
        lambda network: network.to(torch.float16),
        lambda network: network.requires_grad_(True),
        lambda network: network.train(),
        lambda network: network.register_forward_hook(lambda *_: None),
        lambda network: network.register_forward_pre_hook(lambda *_: None),
        lambda network: setattr(network, "padding_mode", "circular"),
        lambda network: setattr(network, "forward", lambda x: x),
        lambda network: setattr(network, "__class__", nn.Module),
        lambda network: network.register_buffer("more", torch.ones(1)),
        lambda network: setattr(network, "weight", nn.Parameter(network.weight.clone())),
    ],
)
def test_any_write_would_be_seen(write) -> None:
    network = nn.Conv2d(2, 2, 3)
    network.requires_grad_(False).eval()
    before = marks(network)
    assert marks(network) == before
    write(network)
    assert marks(network) != before
