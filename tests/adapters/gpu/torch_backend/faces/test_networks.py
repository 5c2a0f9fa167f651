"""The four networks: laid out to files' tensors, by the published names and shapes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.faces.codeformer import CodeFormer
from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceNetwork, FaceTensors, build
from hexfusion.adapters.gpu.torch_backend.faces.gfpgan import Gfpgan, noise_of
from hexfusion.adapters.gpu.torch_backend.faces.parsenet import ParseNet
from hexfusion.adapters.gpu.torch_backend.faces.retinaface import RetinaFace
from hexfusion.adapters.gpu.torch_backend.upscale import spandrel_networks
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.faces import layouts
from tests.adapters.gpu.torch_backend.upscale.networks import needs_spandrel

pytestmark = pytest.mark.torch

Make = Callable[[FaceTensors], FaceNetwork]
NARROW: dict[str, tuple[Make, layouts.Layout]] = {
    "retinaface": (RetinaFace, layouts.NARROW_RETINAFACE),
    "parsenet": (ParseNet, layouts.NARROW_PARSENET),
    "gfpgan": (Gfpgan, layouts.NARROW_GFPGAN),
    "codeformer": (CodeFormer, layouts.codeformer(narrow=True)),
}
#: Tensors, millions of numbers, and what of the file is not used: counters, the picture ParseNet
#: draws, and what of GFPGAN only training needs.
PUBLISHED: dict[str, tuple[Make, layouts.Layout, int, float, int]] = {
    "retinaface": (RetinaFace, layouts.retinaface(), 456, 27.3, 73),
    "parsenet": (ParseNet, layouts.parsenet(), 238, 21.3, 38),
    "gfpgan": (Gfpgan, layouts.gfpgan(), 285, 87.1, 45),
    "codeformer": (CodeFormer, layouts.codeformer(), 515, 94.1, 0),
}
FACE = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1)) * 2 - 1


def meta(layout: layouts.Layout) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in layout.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_fit(name: str):
    make, layout, tensors, millions, unused = PUBLISHED[name]
    assert len(layout) == tensors
    assert sum(torch.Size(each).numel() for each in layout.values()) / 1e6 == pytest.approx(
        millions, abs=0.1
    )
    network = build(FaceTensors("x.pth", meta(layout)), make)
    assert len(layout) - len(network.state_dict()) == unused


def test_codeformer_fuses_where_the_paper_does():
    """What the encoder saw at 32 to 256 pixels meets the decoder behind its blocks 9 to 18."""
    network = build(FaceTensors("x.pth", meta(layouts.codeformer())), CodeFormer)
    order: list[str] = []
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def note(name: str):
        def hook(module: object, given: tuple[Tensor, ...], made: Tensor) -> None:
            order.append(name)
            shapes[name] = tuple(tuple(each.shape) for each in given if isinstance(each, Tensor))

        return hook

    for number, block in enumerate(network.generator.blocks):
        block.register_forward_hook(note(str(number)))
    for size, fusion in network.fuse_convs_dict.items():
        fusion.register_forward_hook(note(f"fuse {size}"))
    with torch.inference_mode():
        network(torch.empty(1, 3, 512, 512, device="meta"), 0.5)
    for size, behind in (("32", "9"), ("64", "12"), ("128", "15"), ("256", "18")):
        fused = f"fuse {size}"
        assert order[order.index(fused) - 1] == behind
        seen, drawn = shapes[fused]
        assert seen == drawn and seen[2] == int(size)
    order.clear()
    with torch.inference_mode():
        network(torch.empty(1, 3, 512, 512, device="meta"), 0.0)
    assert order == [str(number) for number in range(25)]


def narrow(name: str, **changed: Tensor) -> FaceNetwork:
    make, layout = NARROW[name]
    return build(FaceTensors("x.pth", {**layouts.drawn(layout), **changed}), make)


def test_codeformers_weight_lets_through_what_is_there():
    """Section 3.3 of the paper: drawn + w (drawn scale + shift)."""
    network = narrow("codeformer")
    fusion = network.get_submodule("fuse_convs_dict.64")
    seen, drawn = torch.rand(2, 1, 32, 64, 64)
    with torch.inference_mode():
        full = fusion(seen, drawn, 1.0)
        assert torch.allclose(fusion(seen, drawn, 0.25), drawn + (full - drawn) / 4, atol=1e-5)
        made = [network(FACE, weight) for weight in (0.0, 0.5, 1.0)]
    assert not torch.equal(made[0], made[1]) and not torch.equal(made[1], made[2])


def test_codeformer_draws_from_the_codebook_in_the_manner_of_what_it_saw():
    """AdaIN: a channel's mean and spread are those of the encoder's features."""
    network = narrow("codeformer")
    with torch.inference_mode():
        found, _ = network._encoded(FACE)
        looked_up = network._looked_up(found)
        entries = network.quantize.embedding.weight
        for place in looked_up.flatten(2)[0].T[::37]:
            assert (entries - place).abs().amax(1).min() < 1e-6
        given: list[Tensor] = []
        network.generator.blocks[0].register_forward_hook(lambda _, x, y: given.append(x[0]))
        network(FACE, 0.0)
    flat, wanted = given[0].flatten(2), found.flatten(2)
    assert torch.allclose(flat.mean(2), wanted.mean(2), atol=1e-4)
    varied = looked_up.flatten(2).var(2) > 1e-2  # a channel of one entry has no spread to give
    assert varied.any()
    assert torch.allclose(flat.std(2)[varied], wanted.std(2)[varied], rtol=1e-2)


def test_gfpgans_noise_comes_from_its_own_stream():
    network, cpu = narrow("gfpgan"), torch.device("cpu")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with torch.inference_mode():
        one, again, other = (network(FACE, noise_of(seed, cpu)) for seed in (1, 1, 2))
        without = network(FACE, lambda height, width: torch.zeros(1, 1, height, width))
    assert torch.equal(one, again)
    assert not torch.equal(one, other) and not torch.equal(one, without)
    assert torch.equal(torch.random.get_rng_state(), before)


#: Of which hardly a channel is dead.
ALIVE = {**NARROW, "retinaface": (RetinaFace, layouts.retinaface(4, [4] * 4, [1] * 4, 8, 2))}


@pytest.mark.parametrize("name", ALIVE)
def test_what_a_network_keeps_of_its_file_it_uses(name: str):
    """Other numbers in a tensor, of a sample of them: another answer."""
    make, layout = ALIVE[name]
    network = build(FaceTensors("x.pth", layouts.drawn(layout)), make)
    generator = torch.Generator().manual_seed(3)
    small = torch.randn(1, 3, 64, 64, generator=generator) * (60 if name == "retinaface" else 1)

    def answer() -> Tensor:
        with torch.inference_mode():
            match name:
                case "gfpgan":
                    return network(FACE, lambda height, width: torch.ones(1, 1, height, width))
                case "codeformer":
                    return network(FACE, 1.0)
                case "retinaface":
                    return torch.cat([each.flatten() for each in network(small)])
                case _:
                    return network(small)

    usual = answer()
    tensors = [*network.state_dict().items()]
    for tensor_name, tensor in tensors[:: max(1, len(tensors) // 6)]:
        kept = tensor.clone()
        tensor.add_(torch.rand(tensor.shape, generator=generator))
        assert not torch.equal(answer(), usual), tensor_name
        tensor.copy_(kept)


@pytest.mark.parametrize("name", NARROW)
def test_what_does_not_fit_is_named(name: str):
    make, layout = NARROW[name]
    state = layouts.drawn(layout)
    used = [*build(FaceTensors("x.pth", state), make).state_dict()]
    for tensor in used[:: max(1, len(used) // 8)]:
        without = {each: numbers for each, numbers in state.items() if each != tensor}
        wrong = [torch.zeros(()), torch.zeros(0), torch.zeros(3, 5, 7), torch.zeros(1, 40000)]
        for changed in (without, *({**state, tensor: numbers} for numbers in wrong)):
            with pytest.raises(CheckpointError) as caught:
                build(FaceTensors("folder/x.pth", changed), make)
            assert caught.value.file == "folder/x.pth"


def test_messages_say_which_file_and_which_tensor():
    state = layouts.drawn(layouts.NARROW_GFPGAN)
    del state["final_conv.bias"]
    with pytest.raises(CheckpointError, match=r"f\.pth: tensor 'final_conv\.bias': is missing"):
        build(FaceTensors("f.pth", state), Gfpgan)
    with pytest.raises(CheckpointError, match=r"f\.pth: tensor 'position_emb': is missing"):
        changed = layouts.drawn(layouts.codeformer(narrow=True))
        del changed["position_emb"]
        build(FaceTensors("f.pth", changed), CodeFormer)
    for layout, make in ((layouts.NARROW_GFPGAN, CodeFormer), (layouts.NARROW_PARSENET, Gfpgan)):
        with pytest.raises(CheckpointError, match=r"f\.pth: tensor '.*': is missing"):
            build(FaceTensors("f.pth", layouts.drawn(layout)), make)
    small = layouts.drawn(layouts.gfpgan((2, 4, 8, 8), 16))
    with pytest.raises(CheckpointError, match="faces of 32 pixels, not 512"):
        build(FaceTensors("f.pth", small), Gfpgan)


@needs_spandrel
@pytest.mark.slow
def test_gfpgan_is_spandrels_to_the_bit():
    """The published widths, random numbers, the noise that the file stores."""
    state = layouts.drawn(layouts.gfpgan(), 4)
    other = spandrel_networks.library("x").MAIN_REGISTRY.load(dict(state)).model
    mine = build(FaceTensors("x.pth", state), Gfpgan)
    stored = (state[f"stylegan_decoder.noises.noise{number}"] for number in range(15))
    with torch.inference_mode():
        expected = other(FACE, return_rgb=False, randomize_noise=False)
        made = mine(FACE, lambda height, width: next(stored))
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert torch.equal(made, expected)
