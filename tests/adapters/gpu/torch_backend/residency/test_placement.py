"""Networks that take turns on a device (docs/adr/0016; spec api.md 1: --medvram, --lowvram).

No device but the CPU can be had here. torch's meta device stands in for one: it computes shapes
alone, but takes no tensors of two devices in one operation, so that a weight or an input that was
not brought there is an error, as it is on CUDA.
"""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from PIL import ImageChops
from safetensors.torch import save_file
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.conditioning.encode_texts import encode_texts
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.families.sd1 import SD1
from hexfusion.adapters.gpu.torch_backend.families.sd2 import SD2
from hexfusion.adapters.gpu.torch_backend.families.sdxl import REFINER, SDXL
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.residency.placement import (
    RAM,
    Placement,
    Placing,
    choose_placing,
)
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import LoraPlan, NetworksPlan, Plan, PreviewPlan
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout
from tests.contracts.inference import Witness, plan, with_hires
from tests.sight import assert_differ, assert_wide

pytestmark = pytest.mark.torch

DEVICE = torch.device("meta")
BOTH = [Placement.NETWORKS, Placement.LAYERS]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "one.safetensors"
    save_file(random_tensors(sd1_layout(**SMALL), 1), path)
    return path


@pytest.fixture
def loaded(file: Path) -> LoadedCheckpoint:
    return load_checkpoint(file)


def places(network: nn.Module) -> set[str]:
    """Where its weights are."""
    return {each.device.type for each in (*network.parameters(), *network.buffers())}


def bits(network: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for each in network.parameters()]


def asked(model: LoadedCheckpoint) -> Tensor:
    """The UNet's answer to something on the device."""
    x, context = torch.empty(1, 4, 8, 8, device=DEVICE), torch.empty(1, 77, 48, device=DEVICE)
    return predict(model.unet, x, torch.empty(1, device=DEVICE), context)


def decoded(model: LoadedCheckpoint) -> Tensor:
    return model.vae.decode(torch.empty(1, 4, 8, 8, device=DEVICE), return_dict=False)[0]


@torch.inference_mode()
def test_the_network_that_is_called_is_there_alone(loaded: LoadedCheckpoint) -> None:
    model = Placing(DEVICE, Placement.NETWORKS).settle(loaded)
    text = model.text.encoders[0].model
    networks = {"unet": model.unet, "encoder": model.vae.encoder, "decoder": model.vae.decoder,
                "text": text}  # fmt: skip
    before = {name: bits(network) for name, network in networks.items()}

    def there() -> list[str]:
        return [name for name, network in networks.items() if places(network) == {"meta"}]

    assert there() == []
    assert asked(model).device == DEVICE
    assert there() == ["unet"]
    assert decoded(model).shape == (1, 3, 64, 64)
    assert there() == ["decoder"]
    model.vae.encode(torch.empty(1, 3, 64, 64))  # what comes from RAM is brought, too
    assert there() == ["encoder"]
    states = text(input_ids=torch.zeros(1, 77, dtype=torch.int64)).last_hidden_state
    assert states.device == DEVICE
    assert there() == ["text"]
    for name, network in networks.items():
        if name != "text":
            assert places(network) == {"cpu"}
            pairs = zip(network.parameters(), before[name], strict=True)
            assert all(torch.equal(now, then) for now, then in pairs)


@torch.inference_mode()
def test_by_layers_the_unet_never_leaves_ram(loaded: LoadedCheckpoint) -> None:
    model = Placing(DEVICE, Placement.LAYERS).settle(loaded)
    seen: list[set[str]] = []
    for module in model.unet.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, args, made: seen.append(places(module)))
    assert asked(model).device == DEVICE
    assert len(seen) > 100 and set.union(*seen) == {"cpu"}
    decoded(model)
    assert places(model.vae.decoder) == {"meta"}


@torch.inference_mode()
def test_a_weight_that_was_forgotten_would_be_noticed(loaded: LoadedCheckpoint) -> None:
    """The stand-in does what it is there for."""
    with pytest.raises(RuntimeError):
        decoded(loaded)


@torch.inference_mode()
def test_a_copy_of_a_vae_takes_turns_too_and_leaves_the_other_where_it_lies(
    loaded: LoadedCheckpoint,
) -> None:
    """Spec networks.md 1.6: what is tried again with, where the VAE is on the device for now."""
    placing = Placing(DEVICE, Placement.NETWORKS)
    vae = placing.settle(loaded).vae
    before = bits(vae.decoder)
    decoded(loaded)
    assert places(vae.decoder) == {"meta"}
    copy = VaeCopies(placing).of(vae, torch.float64)
    assert places(vae.decoder) == places(copy.decoder) == places(copy.encoder) == {"cpu"}
    given = torch.empty(1, 4, 8, 8, device=DEVICE, dtype=torch.float64)
    assert copy.decode(given, return_dict=False)[0].dtype == torch.float64
    assert (places(vae.decoder), places(copy.decoder)) == ({"cpu"}, {"meta"})
    decoded(loaded)
    assert (places(vae.decoder), places(copy.decoder)) == ({"meta"}, {"cpu"})
    placing.slot.clear()
    pairs = zip(vae.decoder.parameters(), copy.decoder.parameters(), before, strict=True)
    assert all(torch.equal(now, then) and torch.equal(c, then.double()) for now, c, then in pairs)


@torch.inference_mode()
def test_the_place_keeps_nobody_alive(file: Path) -> None:
    placing = Placing(DEVICE, Placement.NETWORKS)
    model = placing.settle(load_checkpoint(file))
    asked(model)
    gone = weakref.ref(model.unet)
    placing.slot.clear()
    del model
    gc.collect()
    assert gone() is None


def test_sdxl_may_have_a_placement_of_its_own() -> None:
    placing = choose_placing(DEVICE, medvram_sdxl=True)
    assert [placing.home(family).type for family in (SD1, SD2, SDXL, REFINER)] == [
        "meta", "meta", "cpu", "cpu",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, Placement.WHOLE),
        ({"medvram": True}, Placement.NETWORKS),
        ({"lowvram": True}, Placement.LAYERS),
        ({"medvram": True, "medvram_sdxl": True, "lowvram": True}, Placement.LAYERS),
    ],
)
def test_what_flags_ask_for(flags: dict[str, bool], expected: Placement) -> None:
    for family in (SD1, SDXL):
        assert choose_placing(DEVICE, **flags).of(family) is expected
        assert choose_placing(RAM, **flags).of(family) is Placement.WHOLE


@pytest.fixture(scope="module")
def engines() -> dict[Placement, TorchInference]:
    """On the CPU, where moving costs nothing and changes nothing: the same way is gone."""
    return {
        each: TorchInference(RAM, FULL, placing=Placing(RAM, each))
        for each in (Placement.WHOLE, *BOTH)
    }


def plans(file: Path) -> Iterator[Plan]:
    yield plan(Checkpoint(name=file.name, filename=str(file)), seeds=(1, 2))
    yield with_hires(plan(Checkpoint(name=file.name, filename=str(file))), upscaler="Lanczos")


@pytest.mark.parametrize("placement", BOTH)
def test_pictures_are_the_same(engines, file, placement) -> None:
    for wanted in plans(file):
        usual = engines[Placement.WHOLE].render(wanted, Witness()).pictures
        made = engines[placement].render(wanted, Witness()).pictures
        assert_wide(*usual)
        for one, other in zip(usual, made, strict=True):
            assert ImageChops.difference(one, other).getbbox() is None


@pytest.mark.parametrize("placement", [Placement.WHOLE, *BOTH])
@pytest.mark.parametrize("allowed", [True, False])
def test_full_previews_give_way_where_networks_take_turns(
    engines, file, placement, allowed
) -> None:
    """Spec images.md 14, live_preview_allow_lowvram_full: Approx NN in its place, and where there
    is no network for that the cheap one."""
    wanted, witness = next(plans(file)), Witness()
    preview = PreviewPlan(method="Full", grid=False, full_in_low_memory=allowed)
    engines[placement].render(msgspec.structs.replace(wanted, preview=preview), witness)
    full = allowed or placement is Placement.WHOLE
    assert witness.previews[-1]().size == ((64, 64) if full else (8, 8))


@pytest.mark.parametrize("placement", BOTH)
def test_loras_are_added_where_networks_lie(engines, file, placement, tmp_path) -> None:
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    torch.manual_seed(3)
    parts = {"lora_up.weight": torch.randn(64, 2), "lora_down.weight": torch.randn(2, 64)}
    path = tmp_path / "lora.safetensors"
    save_file({f"{name}.{part}": tensor for part, tensor in parts.items()}, path)
    loras = NetworksPlan(loras=(LoraPlan(name="lora", path=str(path)),))
    wanted = msgspec.structs.replace(next(plans(file)), networks=loras)
    usual = engines[Placement.WHOLE].render(wanted, Witness())
    made = engines[placement].render(wanted, Witness())
    assert usual.comments == made.comments == ()
    without = engines[placement].render(next(plans(file)), Witness())
    assert_differ(usual.pictures[0], without.pictures[0])
    assert ImageChops.difference(usual.pictures[0], made.pictures[0]).getbbox() is None


@torch.inference_mode()
def test_texts_are_encoded_where_the_model_came(file) -> None:
    """Tokens and weights of words start out in RAM."""
    placing = Placing(DEVICE, Placement.NETWORKS)
    model = placing.settle(load_checkpoint(file))
    text = plan(Checkpoint(name=file.name, filename=str(file)), prompts=["a (red:1.2) cat"]).text
    text = msgspec.structs.replace(text, emphasis="Ignore")  # others look at values: meta has none
    texts = encode_texts(model.text, text, height=64, width=64, with_empty=False)
    assert texts.positive[0][0].schedule[0].context.device == DEVICE
    assert places(model.text.encoders[0].model) == {"meta"}
