"""Spec prompts.md 5.3 to 5.6 and sampling.md 8, for SD2, SDXL and its refiner.

No released weights can be had here: these are random ones in the true layout, shrunken, held to
the transformer as `reference_text` writes it down.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.architectures.size_embedding import embed_numbers
from hexfusion.adapters.gpu.torch_backend.checkpoint import build_conditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import TextConditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.encode_texts import encode_texts
from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import ClipTokenizer
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import TextRows
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.plan import TextPlan
from hexfusion.domain.prompts import PromptPart, ScheduledText
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    Layout,
    random_tensors,
    refiner_layout,
    sd2_layout,
    sdxl_layout,
)
from tests.adapters.gpu.torch_backend.reference_text import (
    Reference,
    as_open_clip,
    encode_open_clip,
    quick_gelu,
)

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
SIZE = (768, 1344)
SD2, BIG_G = "cond_stage_model.model.", "conditioner.embedders.1.model."
REFINER_G = "conditioner.embedders.0.model."
CLIP_L = "conditioner.embedders.0.transformer.text_model."


class Model:
    """A conditioner and the tensors it was made from."""

    def __init__(self, layout: Layout) -> None:
        texts = {
            name: shape
            for name, shape in layout.items()
            if not name.startswith(("model.", "first_stage_model."))
        }
        # Large enough that attention is not the same everywhere.
        self.tensors = {
            name: tensor if name.endswith("bias") else 8 * tensor
            for name, tensor in random_tensors(texts).items()
        }
        weights = Weights("m.safetensors", self.tensors)
        architecture = infer_architecture(Shapes("m.safetensors", layout), OriginalConfig())
        self.conditioner: TextConditioner = build_conditioner(
            architecture, weights, CPU, torch.float32
        )

    def __call__(
        self, texts: Sequence[str], negative: bool = False, size: tuple[int, int] = SIZE, **settings
    ) -> TextRows:
        plan = TextPlan(positive=(), negative=(), **settings)
        return self.conditioner(texts, plan, size, negative=negative)

    def open_clip(self, prefix: str, tokens: Tensor) -> Reference:
        return encode_open_clip(self.tensors, prefix, tokens)

    def clip(self, tokens: Tensor) -> Reference:
        joined = as_open_clip(self.tensors, CLIP_L)
        return encode_open_clip(joined, "", tokens, quick_gelu)


@pytest.fixture(scope="module")
def sd2() -> Model:
    return Model(sd2_layout(**SMALL_SD2))


@pytest.fixture(scope="module")
def sdxl() -> Model:
    return Model(sdxl_layout(**SMALL_SDXL))


@pytest.fixture(scope="module")
def refiner() -> Model:
    return Model(refiner_layout(**SMALL_REFINER))


@pytest.fixture(scope="module")
def rows() -> Callable[..., Tensor]:
    """Token rows of one chunk each, with the padding given."""
    tokenize = ClipTokenizer()

    def rows(*texts: str, pad: int) -> Tensor:
        found = []
        for ids in tokenize(texts):
            row = [49406, *ids, 49407]
            found.append(row + [pad] * (77 - len(row)))
        return torch.tensor(found)

    return rows


def close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=2e-5 * b.abs().max().item())


def embedded(*numbers: float) -> Tensor:
    return embed_numbers(numbers).flatten()


TEXTS = ("a red circle", "cat")


def test_sd2_takes_the_penultimate_layer_through_the_final_norm(sd2, rows):
    """Padded with 0; there is no vector."""
    reference = sd2.open_clip(SD2, rows(*TEXTS, pad=0))
    found = sd2(TEXTS)
    assert close(found.context, reference.norm(reference.states[-2]))
    assert found.vector is None
    assert not close(found.context, reference.last)
    other = sd2.open_clip(SD2, rows(*TEXTS, pad=49407))
    assert not close(found.context, other.norm(other.states[-2]))


def test_sd2_ignores_clip_skip(sd2):
    assert torch.equal(sd2(TEXTS, clip_skip=3).context, sd2(TEXTS).context)
    assert torch.equal(sd2(TEXTS, clip_skip=12).context, sd2(TEXTS).context)


def test_sdxl_puts_two_encoders_side_by_side(sdxl, rows):
    """Neither goes through a final norm; CLIP-L is padded with the end of text, bigG with 0."""
    first = sdxl.clip(rows(*TEXTS, pad=49407))
    second = sdxl.open_clip(BIG_G, rows(*TEXTS, pad=0))
    found = sdxl(TEXTS)
    assert found.context.shape == (2, 77, 192)
    assert close(found.context[..., :64], first.states[-2])
    assert close(found.context[..., 64:], second.states[-2])


def test_sdxl_s_vector_is_the_pooled_text_and_the_sizes(sdxl, rows):
    """Spec sampling.md 8: original size, crop, target size; heights first."""
    second = sdxl.open_clip(BIG_G, rows(*TEXTS, pad=0))
    found = sdxl(TEXTS, crop=(16, 32)).vector
    assert close(found[:, :96], second.pooled)
    sizes = embedded(768, 1344, 16, 32, 768, 1344)
    assert torch.equal(found[:, 96:], sizes.expand(2, -1))
    assert found.shape == (2, 96 + 6 * 256)
    assert torch.equal(sdxl(TEXTS, size=(64, 128)).vector[0, 96:352], embedded(64))


def test_the_refiner_takes_one_encoder_and_a_score(refiner, rows):
    """Spec sampling.md 8: size, crop, and how good a positive or negative text is to look."""
    reference = refiner.open_clip(REFINER_G, rows(*TEXTS, pad=0))
    found = refiner(TEXTS, crop=(16, 32))
    assert close(found.context, reference.states[-2])
    assert close(found.vector[:, :96], reference.pooled)
    sizes = embedded(768, 1344, 16, 32, 6.0)
    assert torch.equal(found.vector[:, 96:], sizes.expand(2, -1))
    assert torch.equal(refiner(TEXTS, negative=True).vector[0, -256:], embedded(2.5))
    scores = {"aesthetic_scores": (7.0, 1.5)}
    assert torch.equal(refiner(TEXTS, **scores).vector[0, -256:], embedded(7.0))
    assert torch.equal(refiner(TEXTS, negative=True, **scores).vector[0, -256:], embedded(1.5))


def test_sdxl_ignores_clip_skip_unless_the_option_lets_it_reach_clip_l(sdxl, rows):
    """Option sdxl_clip_l_skip; the last layer too is taken without the final norm."""
    usual = sdxl(TEXTS)
    assert torch.equal(sdxl(TEXTS, clip_skip=3).context, usual.context)
    states = sdxl.clip(rows(*TEXTS, pad=49407)).states
    for clip_skip in (1, 2, 3, 4):
        found = sdxl(TEXTS, clip_skip=clip_skip, clip_l_skip=True)
        assert close(found.context[..., :64], states[-clip_skip])
        assert torch.equal(found.context[..., 64:], usual.context[..., 64:])
        assert torch.equal(found.vector, usual.vector)
    with pytest.raises(InvalidRequest, match="CLIP_stop_at_last_layers: must be 1 to 4"):
        sdxl(TEXTS, clip_skip=5, clip_l_skip=True)


@pytest.mark.parametrize("name", ["sd2", "sdxl", "refiner"])
def test_encodings_are_kept_only_where_the_plan_lets_them_be(name, request):
    """Spec prompts.md 5.7."""
    model, calls = request.getfixturevalue(name), []
    encoders = model.conditioner.encoders
    hooks = [
        each.model.register_forward_hook(lambda *call: calls.append(call)) for each in encoders
    ]
    for keep, expected in ((True, 1), (True, 1), (False, 2), (False, 3)):
        model(("a text that no other test encodes",), keep=keep)
        assert len(calls) == expected * len(encoders)
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("name", ["sdxl", "refiner"])
def test_a_negative_prompt_of_nothing_but_empty_texts_is_silence(name, request):
    """Zeros for all that texts say; sizes and score stay. A space is a text."""
    model = request.getfixturevalue(name)
    full = model(("cat", ""), negative=True)
    silent = model(("", ""), negative=True)
    assert silent.context.shape == full.context.shape
    assert not silent.context.any()
    assert not silent.vector[:, :96].any()
    assert torch.equal(silent.vector[:, 96:], full.vector[:, 96:])
    for spoken in (model(("",)), model((" ",), negative=True), full):
        assert spoken.context[-1].any()
        assert spoken.vector[-1, :96].any()


def test_sd2_has_no_silence(sd2):
    assert torch.equal(sd2(("",), negative=True).context, sd2(("",)).context)


@pytest.mark.parametrize("name", ["sdxl", "refiner"])
def test_only_the_first_chunk_is_pooled(name, request):
    model = request.getfixturevalue(name)
    long, short = model(("cat BREAK a red circle",)), model(("cat",))
    assert long.context.shape[1] == 154
    assert torch.equal(long.vector, short.vector)


def test_emphasis_is_restored_by_encoder_and_pooled_vectors_are_not_scaled(sdxl):
    """Spec prompts.md 5.5."""
    plain, raw = sdxl(("a red circle",)), sdxl(("a (red:1.5) circle",), emphasis="No norm")
    scaled = plain.context.clone()
    scaled[:, 2] *= 1.5
    assert close(raw.context, scaled)
    assert torch.equal(raw.vector, plain.vector)
    found = sdxl(("a (red:1.5) circle",))
    for part in (slice(None, 64), slice(64, None)):
        before, after = plain.context[..., part], scaled[..., part]
        assert close(found.context[..., part], after * (before.mean() / after.mean()))
    assert torch.equal(found.vector, plain.vector)


def test_what_only_one_tokenizer_unescapes_still_fits_together(sdxl, sd2):
    """Three tokens to CLIP-L's tokenizer, one to OpenCLIP's: 2 chunks and 1."""
    text = "< " + "&copy; " * 30
    assert sd2((text,)).context.shape[1] == 77
    assert sdxl((text,)).context.shape[1] == 154


@pytest.mark.parametrize("name", ["sd2", "sdxl", "refiner"])
def test_open_clip_does_not_take_the_old_emphasis(name, request):
    """Spec prompts.md 5.5: an assertion error in A1111."""
    with pytest.raises(InvalidRequest, match=r"^use_old_emphasis_implementation: "):
        request.getfixturevalue(name)(("cat",), old_emphasis=True)


def schedule(*texts: str) -> PromptPart:
    return PromptPart(
        tuple(ScheduledText(10 * (index + 1), text) for index, text in enumerate(texts))
    )


def test_a_plan_s_texts(sdxl):
    """Positive and negative texts are apart even where they are equal; padding is a positive "".

    Only a negative schedule that is empty throughout is silence.
    """
    plan = TextPlan(
        positive=((schedule("", "cat"), schedule("")),),
        negative=((schedule("", "cat"),),),
    )
    found = encode_texts(sdxl.conditioner, plan, height=768, width=1344, with_empty=True)
    (parts,), (negative,) = found.positive, found.negative
    assert [entry.end_at for entry in parts[0].schedule] == [10, 20]
    assert parts[0].schedule[1].vector.shape == (96 + 6 * 256,)
    assert all(entry.context.any() for entry in negative)
    assert parts[1].schedule[0].context.any()
    assert torch.equal(found.empty, sdxl(("",)).context[0])
    silent = encode_texts(
        sdxl.conditioner,
        TextPlan(positive=((schedule(""),),), negative=((schedule(""),),)),
        height=768,
        width=1344,
    )
    assert silent.positive[0][0].schedule[0].context.any()
    assert not silent.negative[0][0].context.any()
    assert silent.empty is None
