"""Spec sampling.md 5: guidance. Oracle: [V:cfg_combine], [V:prompt_schedule_pick]; whole calls are
checked by the pipeline vectors.
"""

import msgspec
import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.call import Call
from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import GuidedDenoiser, LatentMask
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    ScheduledContext,
    WeightedSchedule,
    combine,
    combine_edit,
    pad,
    pick,
    select,
    text_rows,
    why_skip_negative,
)
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.preconditioning import SigmaSpace, TimestepSpace
from hexfusion.domain.plan import PreviewContent, SamplingPlan
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.samplers import BY_NAME
from tests.golden.sampling_vectors import distance, section

DEFAULTS = SamplingOptions()


def text(tokens: int, value: float = 1.0, end_at: int = 1000) -> ScheduledContext:
    """A context whose token vectors count up from `value`."""
    rows = torch.arange(tokens, dtype=torch.float32).view(tokens, 1) + value
    return ScheduledContext(end_at, rows.expand(tokens, 3))


def conditioning(positive: int, negative: int, empty: int | None = None) -> Conditioning:
    return Conditioning(
        ((WeightedSchedule((text(positive),)),),),
        ((text(negative, -1.0),),),
        None if empty is None else torch.full((empty, 3), 9.0),
    )


def test_combination() -> None:
    """AND weights, negative ones too."""
    data = section("cfg_combine")
    rows = torch.tensor(data["x_out"]).view(5, 2, 1, 1)
    weights = [[weight for _, weight in parts] for parts in data["conds_list"]]
    got = combine(rows[:3], rows[3:], weights, data["cond_scale"])
    assert distance(got.flatten(), data["out"]) <= 1e-6


def test_combination_of_an_edit() -> None:
    """InstructPix2Pix (spec sampling.md 5.1)."""
    data = section("cfg_combine")["edit"]
    assert data["order"] == "cond,img_cond,uncond"
    rows = torch.tensor(data["x_out"]).view(3, 1, 1, 1, 1)
    got = combine_edit(*rows, data["cond_scale"], data["image_cfg_scale"])
    assert distance(got.flatten(), data["out"]) <= 1e-6


@pytest.mark.parametrize("case", section("prompt_schedule_pick"), ids=lambda c: str(c["ends"]))
def test_entry_for_a_call(case: dict) -> None:
    """An entry ending at k serves calls 0..k; past the end the first comes back."""
    schedule = tuple(text(1, end_at=end) for end in case["ends"])
    calls = range(len(case["picked_by_step"]))
    assert [pick(schedule, call) for call in calls] == case["picked_by_step"]


def shapes(positive: int, negative: int, options: SamplingOptions, empty: int | None = 77):
    texts = conditioning(positive, negative, empty)
    cond, uncond, _ = pad(*text_rows(texts, select(texts, 0)), texts.empty, options)
    return cond.context[0, :, 0].tolist(), uncond.context[0, :, 0].tolist()


def test_unequal_lengths_stay_unless_an_option_says_otherwise() -> None:
    cond, uncond = shapes(154, 77, DEFAULTS)
    assert (len(cond), len(uncond)) == (154, 77)


def test_padding_with_the_empty_prompt() -> None:
    """Option pad_cond_uncond: whole chunks of it, on the shorter side."""
    options = SamplingOptions(pad_cond_uncond=True)
    cond, uncond = shapes(77, 231, options)
    assert (len(cond), cond[77:], len(uncond)) == (231, [9.0] * 154, 231)
    cond, uncond = shapes(154, 77, options)
    assert (len(uncond), uncond[77:]) == (154, [9.0] * 77)


def test_padding_with_the_last_token() -> None:
    """Option pad_cond_uncond_v0 has priority, and cuts where the negative prompt is longer."""
    options = SamplingOptions(pad_cond_uncond=True, pad_cond_uncond_v0=True)
    _, uncond = shapes(154, 77, options)
    assert (len(uncond), set(uncond[77:])) == (154, {uncond[76]})
    _, uncond = shapes(77, 231, options)
    assert uncond == [index - 1.0 for index in range(77)]


def test_parts_of_different_length_repeat_their_last_token() -> None:
    """Spec 5.1.2."""
    parts = (WeightedSchedule((text(2),)), WeightedSchedule((text(4),)))
    texts = Conditioning((parts,), ((text(4),),))
    cond, _ = text_rows(texts, select(texts, 0))
    assert cond.context[..., 0].tolist() == [[1, 2, 2, 2], [1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("step", "level", "s_min_uncond", "options", "want"),
    [
        (1, 1.0, 0.0, DEFAULTS, None),
        (1, 1.0, 2.0, DEFAULTS, "NGMS"),
        (2, 1.0, 2.0, DEFAULTS, None),
        (2, 1.0, 2.0, SamplingOptions(s_min_uncond_all=True), "NGMS"),
        (1, 3.0, 2.0, DEFAULTS, None),
        (2, 9.0, 0.0, SamplingOptions(skip_early_cond=0.2), "Skip Early CFG"),
        (3, 9.0, 0.0, SamplingOptions(skip_early_cond=0.2), None),
        (1, 1.0, 2.0, SamplingOptions(skip_early_cond=0.2), "Skip Early CFG"),
    ],
)
def test_when_the_negative_prompt_is_left_out(
    step: int, level: float, s_min_uncond: float, options: SamplingOptions, want: str | None
) -> None:
    """Spec 5.1.5, ten calls expected."""
    chosen = msgspec.structs.replace(options, s_min_uncond=s_min_uncond)
    assert why_skip_negative(step, 10, level, chosen) == want


class Recording:
    """A network that answers with its context's mean and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.contexts: list[Tensor] = []
        self.vectors: list[Tensor | None] = []
        self.times: list[Tensor] = []

    def __call__(self, call: Call) -> Tensor:
        assert len(call.x) == len(call.time) == len(call.context) == len(call.rows)
        self.calls.append(call)
        self.contexts.append(call.context)
        self.vectors.append(call.vector)
        self.times.append(call.time)
        return call.context.mean((1, 2)).view(-1, 1, 1, 1).expand_as(call.x)


def plan(cfg_scale: float = 7.0, sampler: str = "Euler", **options) -> SamplingPlan:
    """A pass's, of which the denoiser reads guidance."""
    return SamplingPlan(
        sampler=BY_NAME[sampler],
        scheduler="Automatic",
        steps=1,
        cfg_scale=cfg_scale,
        options=SamplingOptions(**options),
    )


def test_one_call_serves_both_halves_and_its_context_is_made_once() -> None:
    network = Recording()
    denoise = GuidedDenoiser(
        network, SigmaSpace(noise_table()), conditioning(77, 77), plan(), total_calls=2
    )
    x, sigma = torch.zeros(1, 4, 8, 8), torch.tensor(1.0)
    first, second = denoise(x, sigma), denoise(x, sigma)
    assert torch.equal(first, second)
    assert [len(context) for context in network.contexts] == [2, 2]
    assert network.contexts[0].data_ptr() == network.contexts[1].data_ptr()
    assert network.times[0].dtype == torch.float32


def test_what_is_shown_is_the_first_part_without_guidance() -> None:
    """Spec 7: an interrupted run returns the conditional part's clean latent."""
    parts = (WeightedSchedule((text(1, 2.0),)), WeightedSchedule((text(1, 5.0),)))
    texts = Conditioning((parts,), ((text(1, -1.0),),))
    denoise = GuidedDenoiser(Recording(), SigmaSpace(noise_table()), texts, plan(), total_calls=1)
    denoise(torch.zeros(1, 4, 2, 2), torch.tensor(0.5))
    assert torch.equal(denoise.latest.clean(), torch.full((1, 4, 2, 2), -1.0))


@pytest.mark.parametrize(
    ("content", "shown"), [("Prompt", -1.0), ("Negative prompt", 2.0), ("Combined", -19.0)]
)
def test_the_option_chooses_what_previews_show(content: PreviewContent, shown: float) -> None:
    """Spec images.md 14, live_preview_content. An interrupt returns the prompt's all the same."""
    denoise = GuidedDenoiser(
        Recording(),
        SigmaSpace(noise_table()),
        Conditioning(((WeightedSchedule((text(1, 2.0),)),),), ((text(1, -4.0),),)),
        plan(),
        total_calls=1,
    )
    denoise(torch.zeros(1, 4, 2, 2), torch.tensor(0.5))
    assert torch.equal(denoise.latest.clean(content), torch.full((1, 4, 2, 2), shown))
    assert torch.equal(denoise.latest.clean(), torch.full((1, 4, 2, 2), -1.0))


@pytest.mark.parametrize(("content", "noise"), [("Negative prompt", -1.0), ("Combined", 13.0)])
def test_in_timesteps_the_chosen_one_is_a_clean_latent_too(
    content: PreviewContent, noise: float
) -> None:
    table = noise_table()
    denoise = GuidedDenoiser(
        Recording(),
        TimestepSpace(table),
        conditioning(1, 1),
        plan(),
        total_calls=1,
    )
    denoise(torch.zeros(1, 4, 2, 2), torch.tensor(500.0))
    alpha = table.alphas_cumprod[500]
    wanted = -noise * ((1 - alpha) / alpha).sqrt()
    assert torch.allclose(
        denoise.latest.clean(content), wanted.float().expand(1, 4, 2, 2), rtol=1e-5
    )


def test_in_timesteps_what_is_shown_is_clean_too() -> None:
    table, t = noise_table(), torch.tensor(500.0)
    denoise = GuidedDenoiser(
        Recording(), TimestepSpace(table), conditioning(1, 1), plan(), total_calls=1
    )
    clean, noise = torch.full((1, 4, 2, 2), 0.3), 1.0
    alpha = table.alphas_cumprod[500]
    denoise(alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, t)
    assert torch.allclose(denoise.latest.clean(), clean, atol=1e-5)


def test_a_mask_keeps_the_rest_of_the_picture() -> None:
    """Spec 5.1.10: sigma samplers blend the answer."""
    repaint = torch.tensor([[1.0, 0.0], [0.25, 0.0]])
    init = torch.full((1, 4, 2, 2), 0.5)
    spaces = SigmaSpace(noise_table()), conditioning(1, 1), plan(1.0)
    x, sigma = torch.zeros(1, 4, 2, 2), torch.tensor(1.0)
    free = GuidedDenoiser(Recording(), *spaces, total_calls=1)(x, sigma)
    masked = GuidedDenoiser(Recording(), *spaces, total_calls=1, mask=LatentMask(init, repaint))
    assert torch.equal(masked(x, sigma), free * repaint + init * (1 - repaint))


def test_cfgpp_is_sent_both_predictions_and_a_smaller_scale() -> None:
    """Spec 4.17."""
    denoise = GuidedDenoiser(
        Recording(),
        TimestepSpace(noise_table()),
        conditioning(1, 1),
        plan(12.5, "DDIM CFG++"),
        total_calls=1,
    )
    guided, unconditional = denoise(torch.zeros(1, 4, 2, 2), torch.tensor(500.0))
    assert torch.equal(unconditional, torch.full((1, 4, 2, 2), -1.0))
    assert torch.equal(guided, torch.full((1, 4, 2, 2), 1.0))


def with_vector(entry: ScheduledContext, value: float) -> ScheduledContext:
    return ScheduledContext(entry.end_at, entry.context, torch.full((5,), value))


def asked(texts: Conditioning, options: SamplingOptions, calls: int = 1, **more) -> Recording:
    """What the network was given over some calls at level 1."""
    network = Recording()
    denoise = GuidedDenoiser(
        network,
        SigmaSpace(noise_table()),
        texts,
        msgspec.structs.replace(plan(), options=options),
        total_calls=10,
        **more,
    )
    for _ in range(calls):
        denoise(torch.zeros(len(texts.positive), 4, 2, 2), torch.tensor(1.0))
    return network


def vector_texts(positive: int, negative: int) -> Conditioning:
    """Two pictures, the first of two parts, with the vectors 1, 2, 3 and -1, -2."""
    part = [WeightedSchedule((with_vector(text(positive), value),)) for value in (1.0, 2.0, 3.0)]
    unwanted = [(with_vector(text(negative), value),) for value in (-1.0, -2.0)]
    return Conditioning(((part[0], part[1]), (part[2],)), tuple(unwanted), torch.full((1, 3), 9.0))


def test_vectors_go_with_their_rows() -> None:
    """Spec sampling.md 8: conditional rows first, and each call its own."""
    network = asked(vector_texts(2, 2), DEFAULTS)
    assert [v[:, 0].tolist() for v in network.vectors] == [[1, 2, 3, -1, -2]]
    network = asked(vector_texts(2, 2), SamplingOptions(batch_cond_uncond=False))
    assert [v[:, 0].tolist() for v in network.vectors] == [[1, 2], [3, -1], [-2]]
    network = asked(vector_texts(2, 3), DEFAULTS)
    assert [v[:, 0].tolist() for v in network.vectors] == [[1, 2, 3], [-1, -2]]
    network = asked(vector_texts(2, 2), SamplingOptions(skip_early_cond=1.0))
    assert [v[:, 0].tolist() for v in network.vectors] == [[1, 2, 3]]


@pytest.mark.parametrize("name", ["pad_cond_uncond", "pad_cond_uncond_v0"])
def test_padding_leaves_vectors_alone(name: str) -> None:
    """Spec sampling.md 8."""
    network = asked(vector_texts(2, 4), SamplingOptions(**{name: True}))
    (vectors,) = network.vectors
    assert vectors.shape == (5, 5)
    assert vectors[:, 0].tolist() == [1, 2, 3, -1, -2]


def test_a_denoiser_that_takes_over_counts_on() -> None:
    """Spec sampling.md 5.4: same counter, so the texts of later calls are used."""
    schedule = (text(2, 1.0, end_at=3), text(2, 5.0, end_at=10))
    texts = Conditioning(((WeightedSchedule(schedule),),), ((text(2),),))
    network = asked(texts, DEFAULTS, calls=3, first_step=2)
    assert [context[0, 0, 0].item() for context in network.contexts] == [1.0, 1.0, 5.0]


@pytest.mark.parametrize(
    ("options", "calls", "tokens", "want"),
    [
        ({}, 3, 77, set()),
        ({"skip_early_cond": 0.1}, 1, 77, {"Skip Early CFG"}),
        ({"skip_early_cond": 0.1}, 4, 77, {"Skip Early CFG", "NGMS"}),
        ({"pad_cond_uncond": True}, 2, 77, {"NGMS"}),  # nothing to pad
        ({"pad_cond_uncond": True}, 1, 154, {"Pad conds"}),
        ({"pad_cond_uncond": True, "pad_cond_uncond_v0": True}, 1, 154, {"Pad conds v0"}),
    ],
)
def test_what_happened_is_known_afterwards(
    options: dict, calls: int, tokens: int, want: set[str]
) -> None:
    """Spec prompts.md 5.4 and 8.2: the infotext labels of what was really done."""
    level = 2.0 if want & {"NGMS"} else 0.0
    denoise = GuidedDenoiser(
        Recording(),
        SigmaSpace(noise_table()),
        conditioning(77, tokens, empty=77),
        plan(s_min_uncond=level, **options),
        total_calls=10,
    )
    for _ in range(calls):
        denoise(torch.zeros(1, 4, 2, 2), torch.tensor(1.0))
    assert denoise.happened == want
