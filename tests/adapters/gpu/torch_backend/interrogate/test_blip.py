"""BLIP from its published layout (spec images.md 12.1)."""

from dataclasses import fields
from typing import ClassVar

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.interrogate.bert_vocabulary import (
    BertVocabulary,
    read_vocabulary,
    vocabulary,
)
from hexfusion.adapters.gpu.torch_backend.interrogate.blip import Blip, describe, load_blip
from hexfusion.adapters.gpu.torch_backend.interrogate.pixels import normalised, squashed
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import go_on
from hexfusion.domain.errors import CheckpointError, ModelUnavailable
from hexfusion.domain.interrogation import CaptionSearch
from tests.adapters.gpu.torch_backend.interrogate.networks import PIECES, blip

pytestmark = pytest.mark.torch

NAME = "model_base_caption_capfilt_large.pth"
BEGIN, END = len(PIECES), PIECES.index("[SEP]")
PROMPT = [BEGIN, *(PIECES.index(word) for word in ("a", "picture", "of"))]


def written(folder, state=None, pieces=PIECES):
    torch.manual_seed(3)
    folder.mkdir(exist_ok=True)
    state = blip(depth=2, text_depth=2) if state is None else state
    torch.save({"model": state}, folder / NAME)
    if pieces:
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    return state, folder / NAME


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    state, file = written(tmp_path_factory.mktemp("BLIP"))
    return state, load_blip(file)


def picture(colour="orange"):
    image = Image.new("RGB", (50, 20), colour)
    image.paste("blue", (0, 0, 25, 10))
    return image


def seen_by_hand(state, pixels, heads):
    """The vision transformer by the file's own names."""

    def get(name):
        return state[f"visual_encoder.{name}"]

    def norm(x, name):
        return functional.layer_norm(
            x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"), 1e-6
        )

    def linear(x, name):
        return functional.linear(x, get(f"{name}.weight"), get(f"{name}.bias"))

    x = functional.conv2d(
        pixels, get("patch_embed.proj.weight"), get("patch_embed.proj.bias"), stride=16
    )
    x = torch.cat([get("cls_token"), x.flatten(2).transpose(1, 2)], 1) + get("pos_embed")
    for number in range(2):
        block = f"blocks.{number}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        made = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + linear(made, f"{block}.attn.proj")
        inner = functional.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + linear(inner, f"{block}.mlp.fc2")
    return norm(x, "norm")


def test_it_sees_what_the_layout_says(network):
    state, made = network
    pixels = normalised(squashed(picture(), 32))
    seen = made.vision(pixel_values=pixels).last_hidden_state
    assert torch.allclose(seen, seen_by_hand(state, pixels, heads=1), atol=1e-5)


def test_it_speaks_with_the_files_tensors(network):
    state, made = network
    names = {f"text_decoder.{name}": each for name, each in made.text.state_dict().items()}
    assert all(torch.equal(state[name], each) for name, each in names.items())
    unused = [n for n in state if n.startswith("text_decoder.") and n not in names]
    assert unused == ["text_decoder.bert.embeddings.position_ids"]


def likeliest(made, image, search):
    """Word after word, each the likeliest, by the network alone."""
    pixels = normalised(squashed(image, 32))
    seen = made.vision(pixel_values=pixels).last_hidden_state
    numbers = list(PROMPT)
    while len(numbers) < search.max_length:
        logits = made.text(
            input_ids=torch.tensor([numbers]), encoder_hidden_states=seen, use_cache=False
        ).logits[0, -1]
        if len(numbers) < search.min_length:
            logits[END] = -torch.inf
        numbers.append(int(logits.argmax()))
        if numbers[-1] == END:
            break
    return numbers[len(PROMPT) :]


@pytest.mark.parametrize(("shortest", "longest"), [(5, 9), (1, 30), (12, 12)])
def test_one_beam_is_the_likeliest_word_each_time(network, shortest, longest):
    _, made = network
    search = CaptionSearch(beams=1, min_length=shortest, max_length=longest)
    expected = made.words.text(likeliest(made, picture(), search))
    assert describe(made, picture(), search, go_on) == expected
    assert expected


def score(made, image, numbers):
    """How likely the words are, together: what beams of equal length are compared by."""
    pixels = normalised(squashed(image, 32))
    seen = made.vision(pixel_values=pixels).last_hidden_state
    row = torch.tensor([[*PROMPT, *numbers]])
    logits = made.text(input_ids=row, encoder_hidden_states=seen, use_cache=False).logits
    chances = logits.log_softmax(-1)[0, len(PROMPT) - 1 : -1]
    return float(chances.gather(1, row[0, len(PROMPT) :, None]).sum())


class Listening(BertVocabulary):
    """Remembers which words it was to tell."""

    heard: ClassVar[list[list[int]]] = []

    def text(self, numbers):
        self.heard.append(list(numbers))
        return super().text(numbers)


def test_more_beams_find_likelier_words(network):
    """Of a fixed length, so that sums can be compared."""
    _, made = network
    words = Listening(**{each.name: getattr(made.words, each.name) for each in fields(made.words)})
    scores = {}
    for beams in (1, 4):
        search = CaptionSearch(beams=beams, min_length=8, max_length=8)
        describe(Blip(made.vision, made.text, words), picture(), search, go_on)
        assert len(words.heard[-1]) == 4
        scores[beams] = score(made, picture(), words.heard[-1])
    assert scores[4] >= scores[1] - 1e-4


def test_a_stop_ends_the_sentence(network):
    _, made = network
    told = []

    def stop_after_two(done, of):
        told.append((done, of))
        return Verdict.INTERRUPT if done >= 2 else Verdict.CONTINUE

    search = CaptionSearch(beams=1, min_length=12, max_length=12)
    whole = likeliest(made, picture(), search)
    assert describe(made, picture(), search, stop_after_two) == made.words.text(whole[:2])
    assert told == [(1, 8), (2, 8)]


def test_another_picture_another_sentence(network):
    _, made = network
    search = CaptionSearch(beams=1, min_length=20, max_length=20)
    texts = {describe(made, picture(colour), search, go_on) for colour in ("orange", "black")}
    assert len(texts) == 2


def test_transformers_layout_is_the_same_network(network, tmp_path):
    _, made = network
    renamed = {f"vision_model.{n}": each for n, each in made.vision.state_dict().items()}
    renamed |= {f"text_decoder.{n}": each for n, each in made.text.state_dict().items()}
    save_file({n: each.clone() for n, each in renamed.items()}, tmp_path / "blip.safetensors")
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    other = load_blip(tmp_path / "blip.safetensors")
    search = CaptionSearch(beams=2, min_length=5, max_length=9)
    assert describe(other, picture(), search, go_on) == describe(made, picture(), search, go_on)


def test_the_words_are_asked_for(tmp_path):
    _, file = written(tmp_path / "BLIP", pieces=None)
    with pytest.raises(ModelUnavailable, match=r"vocab\.txt of bert-base-uncased in .*BLIP"):
        load_blip(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("visual_encoder.cls_token"), "class_embedding"),
        (lambda s: s.pop("text_decoder.cls.predictions.decoder.weight"), "decoder.weight"),
        (lambda s: s.update({"visual_encoder.norm.weight": torch.ones(3)}), "post_layernorm"),
        (lambda s: s.update({"text_decoder.extra": torch.ones(3)}), "extra"),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("visual")], "no captioning network"),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("text")], "no captioning network"),
        (lambda s: s.pop("visual_encoder.patch_embed.proj.weight"), "patch_embedding"),
        (lambda s: s.update({"visual_encoder.pos_embed": torch.ones(3)}), "position_embedding"),
    ],
)
def test_damaged_files_are_named(tmp_path, change, message):
    state = blip()
    change(state)
    _, file = written(tmp_path / "BLIP", state)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_blip(file)
    assert NAME in str(caught.value)


def test_a_vocabulary_of_more_words_than_the_network_knows(tmp_path):
    _, file = written(tmp_path / "BLIP", pieces=[*PIECES, *map(str, range(9))])
    with pytest.raises(CheckpointError, match="vocabulary"):
        load_blip(file)


def test_a_vocabulary():
    words = vocabulary(PIECES, "x")
    assert (words.begin, words.end, words.padding) == (BEGIN, END, 0)
    numbers = [PIECES.index(p) for p in ("[CLS]", "a", "cat", "##s", ".", "[SEP]", "of")]
    assert words.text(numbers) == "a cats."
    assert words.text([BEGIN, BEGIN + 1, PIECES.index("cat")]) == "cat"


@pytest.mark.parametrize("missing", ["[PAD]", "[SEP]", "picture"])
def test_another_vocabulary_is_named(missing):
    with pytest.raises(CheckpointError, match=missing.strip("[]")):
        vocabulary([each for each in PIECES if each != missing], "x")


def test_a_vocabulary_that_is_no_text(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xff")
    with pytest.raises(CheckpointError, match=r"vocab\.txt"):
        read_vocabulary(tmp_path)


def test_words_that_are_ends_of_lines_count(tmp_path):
    """BERT's vocabulary has such, and every number after them would be another word's."""
    pieces = [*PIECES, "\x85", "\u2028", "last"]
    (tmp_path / "vocab.txt").write_text("\r\n".join(pieces), "utf-8", newline="")
    assert read_vocabulary(tmp_path).number("last") == len(pieces) - 1


@pytest.mark.slow
def test_the_network_at_its_true_size(tmp_path):
    """ViT-B/16 of 384 pixels and BERT-base: 247 million weights, a caption by three beams."""
    torch.manual_seed(0)
    state = blip(768, 12, 768, 12, 384, 16, 30524, 512)
    pieces = [*PIECES, *(f"w{number}" for number in range(30522 - len(PIECES)))]
    _, file = written(tmp_path / "BLIP", state, pieces)
    made = load_blip(file)
    search = CaptionSearch(beams=3, min_length=24, max_length=48)
    assert describe(made, picture(), search, go_on)
