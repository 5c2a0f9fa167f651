"""CLIP's two halves from the layouts its files have (spec images.md 12.1)."""

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import ClipTokenizer
from hexfusion.adapters.gpu.torch_backend.interrogate.clip import (
    load_clip,
    picture_vector,
    text_probabilities,
    text_vectors,
)
from hexfusion.adapters.gpu.torch_backend.interrogate.pixels import MEAN, SPREAD, middle, normalised
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.interrogate.networks import clip, script_module

pytestmark = pytest.mark.torch

BEGIN, END = 49406, 49407
TEXTS = ["a red circle", "x", "a very long text " * 40, "émoi", ""]


@pytest.fixture(scope="module")
def tokenize():
    return ClipTokenizer()


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(5)
    return clip(depth=2)


@pytest.fixture(scope="module")
def network(state, tokenize, tmp_path_factory):
    file = tmp_path_factory.mktemp("CLIP") / "ViT-L-14.pt"
    torch.save(state, file)
    return load_clip(file, tokenize)


def picture():
    image = Image.new("RGB", (50, 30), "orange")
    image.paste("blue", (10, 5, 25, 20))
    return image


def transformer(state, before, x, depth, mask=None):
    """Radford et al.'s, with torch's own attention."""
    width = x.shape[-1]
    for number in range(depth):
        block = f"{before}transformer.resblocks.{number}"

        def get(name, block=block):
            return state[f"{block}.{name}"]

        attention = nn.MultiheadAttention(width, width // 64, batch_first=True)
        attention.load_state_dict(
            {
                name: get(f"attn.{name}")
                for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
            }
        )
        y = norm(state, f"{block}.ln_1", x)
        x = x + attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        y = functional.linear(
            norm(state, f"{block}.ln_2", x), get("mlp.c_fc.weight"), get("mlp.c_fc.bias")
        )
        y = y * torch.sigmoid(1.702 * y)
        x = x + functional.linear(y, get("mlp.c_proj.weight"), get("mlp.c_proj.bias"))
    return x


def norm(state, name, x):
    return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


@torch.inference_mode()
def test_it_sees_what_the_layout_says(state, network):
    pixels = normalised(middle(picture(), 28))
    x = functional.conv2d(pixels, state["visual.conv1.weight"], stride=14)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["visual.class_embedding"].expand(1, 1, -1), x], 1)
    x = norm(state, "visual.ln_pre", x + state["visual.positional_embedding"])
    x = transformer(state, "visual.", x, 2)
    x = norm(state, "visual.ln_post", x[:, 0]) @ state["visual.proj"]
    assert torch.allclose(
        picture_vector(network, picture()), functional.normalize(x, dim=-1), atol=1e-5
    )


@torch.inference_mode()
def test_it_means_what_the_layout_says(state, network, tokenize):
    """All 77 places, of which the last is the text's end at the latest."""
    expected = []
    for numbers in tokenize(TEXTS):
        row = [BEGIN, *numbers[:75], END]
        end = len(row) - 1
        row += [0] * (77 - len(row))
        x = state["token_embedding.weight"][torch.tensor([row])] + state["positional_embedding"]
        mask = torch.full((77, 77), -torch.inf).triu(1)
        x = norm(state, "ln_final", transformer(state, "", x, 2, mask))
        expected.append(functional.normalize(x[:, end] @ state["text_projection"], dim=-1))
    assert torch.allclose(text_vectors(network, TEXTS), torch.cat(expected), atol=1e-5)


def test_layouts_are_the_same_network(state, network, tokenize, tmp_path):
    """OpenAI's archive with its facts, OpenCLIP's tensors, transformers' tensors, halves."""
    torch.jit.script(script_module(state | {"input_resolution": torch.tensor(28)})).save(
        tmp_path / "ViT-L-14.pt"
    )
    save_file({n: t.clone() for n, t in state.items()}, tmp_path / "open_clip.safetensors")
    theirs = {n: t.contiguous() for n, t in network.network.state_dict().items()}
    save_file(theirs, tmp_path / "model.safetensors")
    for name in ("ViT-L-14.pt", "open_clip.safetensors", "model.safetensors"):
        other = load_clip(tmp_path / name, tokenize)
        assert torch.equal(picture_vector(other, picture()), picture_vector(network, picture())), (
            name
        )
        assert torch.equal(text_vectors(other, TEXTS), text_vectors(network, TEXTS)), name
    torch.save({n: t.half() for n, t in state.items()}, tmp_path / "half.pt")
    other = load_clip(tmp_path / "half.pt", tokenize)
    assert torch.allclose(
        picture_vector(other, picture()), picture_vector(network, picture()), atol=2e-2
    )


def test_texts_are_encoded_once(network, tokenize):
    text_vectors(network, ["one", "two"])
    asked = []

    def watched(texts):
        asked.append(list(texts))
        return tokenize(texts)

    network.tokenize = watched
    try:
        again = text_vectors(network, ["two", "three", "two"])
    finally:
        network.tokenize = tokenize
    assert asked == [["three"]]
    assert torch.equal(again[0], again[2])


def test_company_changes_nothing(network):
    network.terms.clear()
    alone = text_vectors(network, ["x"])
    network.terms.clear()
    assert torch.allclose(text_vectors(network, TEXTS)[1], alone[0], atol=1e-6)


def test_probabilities():
    """Spec images.md 12.1: softmax of a hundred times the product."""
    texts = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), dim=-1)
    found = text_probabilities(torch.tensor([[1.0, 0.0]]), texts)
    expected = (100 * texts[:, 0]).softmax(0)
    assert found == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_middle_is_looked_at():
    image = Image.new("RGB", (90, 30), "red")
    image.paste("white", (30, 0, 60, 30))
    inner = middle(image, 14).crop((1, 0, 13, 14))  # what is beside shows at the edge
    assert set(inner.get_flattened_data()) == {(255, 255, 255)}
    pixels = normalised(inner)
    assert pixels.shape == (1, 3, 14, 12)
    expected = [(1 - mean) / spread for mean, spread in zip(MEAN, SPREAD, strict=True)]
    assert pixels[0, :, 0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("visual.class_embedding"), "both halves"),
        (lambda s: s.pop("token_embedding.weight"), "both halves"),
        (lambda s: s.pop("visual.proj"), "visual_projection"),
        (lambda s: s.update({"visual.proj": torch.ones(4)}), "visual_projection"),
        (lambda s: s.update({"more": torch.ones(1)}), "more"),
        (lambda s: s.update({"ln_final.weight": torch.ones(3)}), "final_layer_norm"),
        (lambda s: s.pop("transformer.resblocks.0.mlp.c_fc.weight"), "fc1"),
    ],
)
def test_damaged_files_are_named(state, tokenize, tmp_path, change, message):
    changed = dict(state)
    change(changed)
    torch.save(changed, tmp_path / "damaged.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_clip(tmp_path / "damaged.pt", tokenize)
    assert "damaged.pt" in str(caught.value)


@pytest.mark.slow
def test_the_network_at_its_true_size(tokenize, tmp_path):
    """ViT-L/14: 427,616,513 weights in half precision, from an archive as OpenAI's is."""
    torch.manual_seed(0)
    once = {name: tensor.half() for name, tensor in clip(1024, 768, 1, 768, 224, 14).items()}
    state = {}
    for name, tensor in once.items():  # all layers have the same numbers, which makes a small file
        layers = (24 if name.startswith("visual.") else 12) if "resblocks.0." in name else 1
        for number in range(layers):
            state[name.replace("resblocks.0.", f"resblocks.{number}.")] = tensor
    torch.jit.script(script_module(state)).save(tmp_path / "ViT-L-14.pt")
    network = load_clip(tmp_path / "ViT-L-14.pt", tokenize)
    assert sum(each.numel() for each in network.network.parameters()) == 427_616_513
    places = text_vectors(network, TEXTS)
    assert places.shape == (len(TEXTS), 768)
    assert sum(text_probabilities(picture_vector(network, picture()), places)) == pytest.approx(
        1, abs=1e-5
    )
