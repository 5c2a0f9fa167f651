"""Embeddings: their files, and what prompts make of their names. Spec prompts.md 7."""

import base64
import json
import os

import pytest
import torch
from msgspec.structs import replace
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.patches.additions import adding
from hexfusion.adapters.gpu.torch_backend.patches.embeddings import EmbeddingFiles, read_embedding
from hexfusion.domain.errors import CheckpointError, InvalidRequest
from hexfusion.domain.extra_networks import Embedding, UsedEmbedding
from hexfusion.domain.plan import LoraPlan, NetworksPlan, TextPlan
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL,
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    SMALL_SSD_1B,
    random_tensors,
    refiner_layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
)

pytestmark = pytest.mark.torch

PLAIN = TextPlan(positive=(), negative=())
VECTORS = torch.arange(12, dtype=torch.float32).reshape(3, 4)


def test_every_form_of_file(tmp_path):
    """Spec prompts.md 7.1; half precision becomes single, one row is a matrix."""
    trained = {"string_to_token": {"*": 265}, "string_to_param": {"*": VECTORS.half()}, "step": 5}
    torch.save(trained, tmp_path / "a.pt")
    torch.save({"<x>": VECTORS[0]}, tmp_path / "b.bin")
    save_file({"emb_params": VECTORS}, tmp_path / "c.safetensors")
    save_file({"clip_l": VECTORS, "clip_g": VECTORS + 1}, tmp_path / "d.safetensors")
    inside = {"string_to_param": {"*": {"TORCHTENSOR": VECTORS.tolist()}}, "name": "x"}
    chunk = PngInfo()
    chunk.add_text("sd-ti-embedding", base64.b64encode(json.dumps(inside).encode()).decode())
    Image.new("RGB", (4, 4)).save(tmp_path / "e.png", pnginfo=chunk)
    for name in ("a.pt", "c.safetensors", "e.png"):
        (found,) = read_embedding(tmp_path / name).values()
        assert found.dtype == torch.float32
        assert torch.equal(found, VECTORS)
    assert torch.equal(read_embedding(tmp_path / "b.bin")[""], VECTORS[:1])
    both = read_embedding(tmp_path / "d.safetensors")
    assert torch.equal(both["clip_g"], both["clip_l"] + 1)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        Bomb(),
        {"string_to_param": {"*": Bomb()}},
        {"string_to_param": {}},
        {"a": VECTORS, "b": VECTORS},
        {"a": VECTORS[None]},
        {"a": VECTORS[:0]},
        {"a": torch.ones(1, 1).expand(10**6, 10**6)},
        {"a": VECTORS.to(torch.complex64)},
        [VECTORS],
    ],
    ids=range(9),
)
def test_unusable_files_are_refused_by_name(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        read_embedding(tmp_path / "bad.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors", "x.png", "x.bin"])
@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"\x89PNG\r\n\x1a\n", b"\xff" * 50])
def test_damaged_files_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_embedding(tmp_path / name)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_file(random_tensors(sd1_layout(**SMALL)), path)
    return load_checkpoint(path)


def embedding(path, vectors, name="catlike"):
    save_file({"x": vectors}, path)
    rows, width = vectors.shape
    return Embedding(name=name, vectors=rows, width=width, path=str(path))


@torch.inference_mode()
def encode(model, text, found=(), loras=(), plan=PLAIN):
    networks = NetworksPlan(embeddings=tuple(found), loras=loras)
    additions = NetworkStore().additions(networks, model)
    with adding(additions):
        return model.text([text], plan, (64, 64), negative=False), additions.used


def token_vectors(model, text):
    encoder = model.text.encoders[0]
    (ids,) = encoder.tokenizer([text])
    return encoder.model.get_input_embeddings().weight[ids].clone()


def test_vectors_stand_where_the_name_stood(tmp_path, model):
    """An embedding that holds other words' vectors reads as those words; spec prompts.md 7.3."""
    words = token_vectors(model, "red dog")
    found = [embedding(tmp_path / "x.safetensors", words)]
    rows, used = encode(model, "a CatLike, (catlike:1.2)", found)
    expected, _ = encode(model, "a red dog, (red dog:1.2)")
    torch.testing.assert_close(rows.context, expected.context)
    assert used == [UsedEmbedding("catlike")]
    unlike, used = encode(model, "a cat like", found)
    assert torch.equal(unlike.context, encode(model, "a cat like")[0].context)
    assert used == []


def test_the_old_emphasis_knows_them_too(tmp_path, model):
    old = replace(PLAIN, old_emphasis=True)
    found = [embedding(tmp_path / "x.safetensors", token_vectors(model, "red dog"))]
    rows, _ = encode(model, "a (catlike), dog", found, plan=old)
    expected, _ = encode(model, "a (red dog), dog", plan=old)
    torch.testing.assert_close(rows.context, expected.context)


def test_an_embedding_of_another_width_is_plain_words(tmp_path, model):
    """Spec prompts.md 7.2."""
    found = [embedding(tmp_path / "x.safetensors", torch.ones(2, 7))]
    rows, used = encode(model, "a catlike", found)
    assert torch.equal(rows.context, encode(model, "a catlike")[0].context)
    assert used == []


def test_a_file_that_was_replaced_is_read_again(tmp_path, model):
    store, path = NetworkStore(), tmp_path / "x.safetensors"
    made = []
    for text in ("red", "dog"):
        found = embedding(path, token_vectors(model, text))
        os.utime(path, ns=(len(made), len(made)))
        with adding(store.additions(NetworksPlan(embeddings=(found,)), model)):
            made.append(model.text(["catlike"], PLAIN, (64, 64), negative=False).context)
    assert not torch.equal(*made)


def test_what_is_kept_of_files_is_counted_in_bytes(tmp_path):
    """Two of three: the third is read again."""
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path in paths:
        save_file({"emb_params": torch.ones(2, 48)}, path)
    size = 2 * 48 * 4
    for limit, kept in ((2 * size, 2), (3 * size, 3), (size - 1, 0)):
        files = EmbeddingFiles(size=limit)
        held = [files(str(path))[1] for path in paths]
        again = [files(str(path))[1] for path in reversed(paths)]
        same = [one is other for one, other in zip(held, reversed(again), strict=True)]
        assert same == [False] * (3 - kept) + [True] * kept


def test_a_file_that_is_not_what_it_was_is_an_error(tmp_path, model):
    found = embedding(tmp_path / "x.safetensors", torch.ones(2, 48))
    save_file({"x": torch.ones(2, 7)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="width 48"):
        encode(model, "catlike", [found])
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        encode(model, "catlike", [found])


def test_too_many_vectors_are_an_error(tmp_path, model):
    """Spec prompts.md 5.2: A1111's encoder fails somewhere."""
    found = embedding(tmp_path / "x.safetensors", torch.ones(76, 48))
    with pytest.raises(InvalidRequest, match="76 vectors"):
        encode(model, "catlike", [found])


def test_embeddings_come_with_loras(tmp_path, model):
    """Spec networks.md 2.6: both forms; one with a file of its own wins."""
    words = token_vectors(model, "red dog")
    save_file(
        {
            "bundle_emb.catlike.string_to_param.*": words,
            "bundle_emb.doglike.emb_params": words.clone(),
        },
        tmp_path / "l.safetensors",
    )
    lora = (LoraPlan(name="bundle", path=str(tmp_path / "l.safetensors")),)
    rows, used = encode(model, "a catlike, doglike", loras=lora)
    expected, _ = encode(model, "a red dog, red dog")
    torch.testing.assert_close(rows.context, expected.context)
    assert used == [UsedEmbedding("catlike", "bundle"), UsedEmbedding("doglike", "bundle")]
    own = embedding(tmp_path / "x.safetensors", token_vectors(model, "blue"))
    rows, used = encode(model, "a catlike", [own], lora)
    torch.testing.assert_close(rows.context, encode(model, "a blue")[0].context)
    assert used == [UsedEmbedding("catlike")]


@torch.inference_mode()
def test_sdxls_encoders_each_read_their_own(tmp_path):
    """Spec prompts.md 7.3; the name is told once for each encoder (7.4)."""
    save_file(random_tensors(sdxl_layout(**SMALL_SDXL)), tmp_path / "m.safetensors")
    model = load_checkpoint(tmp_path / "m.safetensors")
    clip, open_clip = model.text.encoders
    (ids,) = clip.tokenizer(["red dog"])
    save_file(
        {
            "clip_l": clip.model.get_input_embeddings().weight[ids].clone(),
            "clip_g": open_clip.model.get_input_embeddings().weight[ids].clone(),
        },
        tmp_path / "x.safetensors",
    )
    found = Embedding(name="catlike", vectors=2, width=192, path=str(tmp_path / "x.safetensors"))
    rows, used = encode(model, "a catlike", [found])
    expected, _ = encode(model, "a red dog")
    torch.testing.assert_close(rows.context, expected.context)
    assert used == [UsedEmbedding("catlike")] * 2


@pytest.mark.parametrize(
    ("layout", "width"),
    [
        (sd2_layout(**SMALL_SD2), 128),
        (refiner_layout(**SMALL_REFINER), 128),
        (sdxl_layout(**SMALL_SSD_1B), 192),
    ],
    ids=["SD2", "refiner", "SSD-1B"],
)
@torch.inference_mode()
def test_the_other_families_read_theirs(tmp_path, layout, width):
    """Spec prompts.md 7.2: by the width of all their encoders together, and no other."""
    save_file(random_tensors(layout), tmp_path / "m.safetensors")
    model = load_checkpoint(tmp_path / "m.safetensors")
    parts = ("clip_l", "clip_g") if len(model.text.encoders) == 2 else ("emb_params",)
    (ids,) = model.text.encoders[0].tokenizer(["red dog"])
    vectors = {
        part: encoder.model.get_input_embeddings().weight[ids].clone()
        for part, encoder in zip(parts, model.text.encoders, strict=True)
    }
    save_file(vectors, tmp_path / "x.safetensors")
    path = str(tmp_path / "x.safetensors")
    found = Embedding(name="catlike", vectors=2, width=width, path=path)
    rows, used = encode(model, "a catlike", [found])
    expected, _ = encode(model, "a red dog")
    torch.testing.assert_close(rows.context, expected.context)
    assert used == [UsedEmbedding("catlike")] * len(parts)
    sd1 = Embedding(name="doglike", vectors=2, width=48, path=path)
    assert encode(model, "a doglike", [sd1])[1] == []
