"""Spec prompts.md 5.4 to 5.6. That whole pictures agree is in test_loading."""

import threading

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.architectures.builders import build_text
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes, infer_clip_text
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import (
    TextEncoder,
    emphasise,
    hidden_states,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import ClipTokenizer
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.plan import TextPlan
from tests.adapters.gpu.torch_backend.layouts import random_tensors, text_layout

pytestmark = pytest.mark.torch

WIDTH = 48


@pytest.fixture(scope="module")
def model():
    layout = text_layout(WIDTH, layers=3)
    tensors = {
        f"cond_stage_model.transformer.text_model.{name}": 8 * tensor
        if name.endswith("weight")
        else tensor
        for name, tensor in random_tensors(layout).items()
    }
    weights = Weights("m.safetensors", tensors)
    architecture = infer_clip_text(Shapes("m.safetensors", weights.shapes()))
    return build_text(architecture, weights, torch.device("cpu"), torch.float32)[0]


@pytest.fixture(scope="module")
def tokenizer():
    return ClipTokenizer()


class Encode:
    """Texts to states, under the settings given."""

    def __init__(self, encoder):
        self.encoder = encoder

    def __call__(self, texts, clip_skip=1, **settings):
        plan = TextPlan(positive=(), negative=(), **settings)
        prompts = self.encoder.chunk(texts, plan)
        return self.encoder.encode(prompts, plan, clip_skip).states


@pytest.fixture
def encoder(model, tokenizer):
    return Encode(TextEncoder(model, tokenizer))


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-5)


def row(tokenizer, text):
    ids = tokenizer([text])[0]
    return torch.tensor([[49406, *ids, *[49407] * (76 - len(ids))]])


def test_a_short_prompt_is_the_models_last_state(encoder, model, tokenizer):
    expected = model(input_ids=row(tokenizer, "a red circle")).last_hidden_state
    assert close(encoder(["a red circle"]), expected)
    assert encoder(["a red circle"]).shape == (1, 77, WIDTH)


def test_clip_skip_ends_earlier_but_still_with_the_final_norm(model, tokenizer):
    """Spec prompts.md 5.6, SD1: computed here by running fewer layers."""
    tokens = row(tokenizer, "a red circle")
    hidden = model.embeddings(input_ids=tokens)
    for done, layer in enumerate(model.encoder.layers, start=1):
        hidden = layer(hidden, None, is_causal=True)
        state, last = hidden_states(model, tokens, 3 - done + 1)
        assert close(state, model.final_layer_norm(hidden))
        raw, _ = hidden_states(model, tokens, 3 - done + 1, final_norm=False)
        assert close(raw, hidden)
    assert close(last, model.final_layer_norm(hidden))


@pytest.mark.parametrize("clip_skip", [0, 4, 12, -1])
def test_a_clip_skip_the_model_lacks_is_refused(encoder, clip_skip):
    with pytest.raises(InvalidRequest, match="CLIP_stop_at_last_layers: must be 1 to 3"):
        encoder(["cat"], clip_skip=clip_skip)


def test_chunks_are_encoded_apart_and_put_side_by_side(encoder):
    """Spec prompts.md 5.4; BREAK starts a chunk."""
    both = encoder(["cat BREAK dog"])
    assert close(both, torch.cat([encoder(["cat"]), encoder(["dog"])], dim=1))


def test_texts_with_fewer_chunks_get_empty_ones(encoder):
    """Spec prompts.md 5.4."""
    both = encoder(["cat BREAK dog", "fish"])
    assert close(both[1:], torch.cat([encoder(["fish"]), encoder([""])], dim=1))


Z = torch.tensor([[[1.0, 2.0], [3.0, -1.0]], [[0.5, 0.5], [2.0, 4.0]]])
M = torch.tensor([[1.0, 2.0], [1.0, 0.5]])
SCALED = torch.tensor([[[1.0, 2.0], [6.0, -2.0]], [[0.5, 0.5], [1.0, 2.0]]])


@pytest.mark.parametrize(
    ("emphasis", "expected"),
    [
        ("None", Z),
        ("Ignore", Z),
        ("No norm", SCALED),
        ("Original", SCALED * (12.0 / 11.0)),  # means over all elements: 12/8 and 11/8
        ("anything else", SCALED * (12.0 / 11.0)),
    ],
)
def test_emphasis_modes(emphasis, expected):
    """Spec prompts.md 5.5, with the means worked out by hand."""
    assert close(emphasise(Z, M, emphasis), expected)


def test_weights_scale_the_tokens_they_are_written_around(encoder):
    plain, weighted = encoder(["a red circle"]), encoder(["a (red:1.5) circle"], emphasis="No norm")
    expected = plain.clone()
    expected[:, 2] *= 1.5
    assert close(weighted, expected)
    original = encoder(["a (red:1.5) circle"])
    assert close(original, expected * (plain.mean() / expected.mean()))


def test_texts_encoded_together_are_normalised_together(encoder):
    """Spec prompts.md 5.5: the mean runs over every text of the call."""
    together = encoder(["a (red:1.5) circle", "cat"])
    raw = encoder(["a (red:1.5) circle", "cat"], emphasis="No norm")
    plain = encoder(["a red circle", "cat"])
    assert close(together, raw * (plain.mean() / raw.mean()))
    assert not close(together[1:], encoder(["cat"]))


def test_brackets_are_text_without_emphasis(encoder):
    assert not close(encoder(["(cat)"], emphasis="None"), encoder(["(cat)"], emphasis="Ignore"))
    assert close(encoder(["(cat)"], emphasis="Ignore"), encoder(["cat"]))


def test_the_old_emphasis_weighs_by_brackets_alone(encoder, caplog):
    """Spec prompts.md 5.5; the recorded picture is in test_loading."""
    plain = encoder(["a red circle"])
    scaled = plain.clone()
    scaled[:, 2] *= 1.1
    found = encoder(["a (red) circle"], old_emphasis=True)
    assert close(found, scaled * (plain.mean() / scaled.mean()))
    assert close(encoder(["a (red) circle"], old_emphasis=True, emphasis="No norm"), scaled)
    assert close(encoder(["a (red) circle"], old_emphasis=True, emphasis="Ignore"), plain)
    assert not caplog.records


def test_the_old_emphasis_has_one_chunk(encoder, caplog):
    """And warns of what it cuts off."""
    found = encoder(["cat " * 80], old_emphasis=True)
    assert close(found, encoder(["cat " * 75]))
    assert "5 are cut off" in caplog.text


class Counted:
    """The model, and how often it was called."""

    def __init__(self, model):
        self.calls = 0
        self.model, self.config, self.device = model, model.config, model.device
        self.final_layer_norm = model.final_layer_norm

    def __call__(self, **inputs):
        self.calls += 1
        return self.model(**inputs)


def test_the_last_conditionings_are_kept(model, tokenizer):
    counted = Counted(model)
    encoder = Encode(TextEncoder(counted, tokenizer, cache_size=2))
    first = encoder(["cat"])
    assert encoder(["cat"]) is first
    assert counted.calls == 1
    encoder(["cat"], clip_skip=2)
    encoder(["cat"])  # is now the most recent of two
    encoder(["dog"])  # drops the clip skip
    encoder(["cat"])
    assert counted.calls == 3
    encoder(["cat"], clip_skip=2)
    assert counted.calls == 4


def test_what_is_kept_is_counted_in_bytes(model, tokenizer):
    """A long prompt takes as much as many short ones."""
    counted = Counted(model)
    size = Encode(TextEncoder(counted, tokenizer))(["cat"]).numel() * 4
    encoder = Encode(TextEncoder(counted, tokenizer, cache_bytes=3 * size))
    for text in ("cat", "dog", "fish"):
        encoder([text])
    encoder(["cat " * 100])  # two chunks: cat and dog go
    counted.calls = 0
    encoder(["fish"])
    assert counted.calls == 0
    encoder(["dog"])
    assert counted.calls == 1
    encoder(["cat " * 300])  # more than may be: it is not kept
    counted.calls = 0
    encoder(["cat " * 300])
    assert counted.calls > 0


def test_what_is_not_to_be_kept_is_neither_kept_nor_taken(model, tokenizer):
    """Spec prompts.md 5.7, option `persistent_cond_cache`."""
    counted = Counted(model)
    encoder = Encode(TextEncoder(counted, tokenizer))
    kept = encoder(["cat"])
    alone = encoder(["cat"], keep=False)
    assert counted.calls == 2
    assert alone is not kept and close(alone, kept)
    encoder(["dog"], keep=False)
    encoder(["dog"])
    assert counted.calls == 4


def test_what_changes_the_encoding_is_not_mixed_up(encoder):
    """Warm the cache with one, ask for the other."""
    variants = [
        {}, {"clip_skip": 2}, {"emphasis": "No norm"}, {"emphasis": "Ignore"}, {"emphasis": "None"},
    ]  # fmt: skip
    warm = [encoder(["(cat:1.3)"], **variant) for variant in variants]
    for a in range(len(warm)):
        for b in range(a):
            assert not close(warm[a], warm[b])


def test_many_threads_get_the_same(encoder):
    expected = {text: encoder([text]).clone() for text in ("cat", "dog", "fish")}
    shared = Encode(TextEncoder(encoder.encoder.model, encoder.encoder.tokenizer, cache_size=1))
    failures = []

    def work():
        for text, tensor in list(expected.items()) * 3:
            if not close(shared([text]), tensor):
                failures.append(text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
