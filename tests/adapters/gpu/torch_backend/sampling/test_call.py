"""The seam around the network call: what a call says of its rows, and how links stand around it."""

from contextlib import contextmanager

import msgspec
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import append_channels
from hexfusion.adapters.gpu.torch_backend.sampling.call import Call, Network, Row, inside, linked
from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import GuidedDenoiser
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import Conditioning, WeightedSchedule
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.preconditioning import SigmaSpace
from hexfusion.domain.sampling.options import SamplingOptions
from tests.adapters.gpu.torch_backend.sampling.test_guidance import (
    Recording,
    plan,
    text,
    vector_texts,
)


def call(*rows: Row) -> Call:
    x = torch.arange(len(rows), dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 2, 1, 1)
    context = torch.zeros(len(rows), 1, 3)
    return Call(x, torch.zeros(len(rows)), context, None, rows, step=3, of=12, sampling=plan())


def test_the_first_link_hears_of_a_call_first():
    heard: list[str] = []

    def link(name: str):
        def through(call: Call, answer: Network) -> Tensor:
            heard.append(f"{name} in")
            answered = answer(call)
            heard.append(f"{name} out")
            return answered

        return through

    network = linked(lambda call: call.x + 1, link("outer"), link("inner"))
    asked = call(Row(0, True))
    assert torch.equal(network(asked), asked.x + 1)
    assert heard == ["outer in", "inner in", "inner out", "outer out"]


def test_a_link_may_ask_twice_and_change_the_answer():
    def twice(call: Call, answer: Network) -> Tensor:
        return answer(call) + answer(call)

    network = linked(lambda call: call.x + 1, twice)
    asked = call(Row(0, True), Row(0, False))
    assert torch.equal(network(asked), 2 * (asked.x + 1))


def test_a_context_is_entered_for_each_call_and_left_after_an_error():
    entered: list[str] = []

    @contextmanager
    def context():
        entered.append("in")
        try:
            yield
        finally:
            entered.append("out")

    def fails(call: Call) -> Tensor:
        raise RuntimeError("no memory")

    quiet, failing = (linked(each, inside(context)) for each in (lambda call: call.x, fails))
    quiet(call(Row(0, True)))
    quiet(call(Row(0, True)))
    try:
        failing(call(Row(0, True)))
    except RuntimeError:
        entered.append("error")
    assert entered == ["in", "out"] * 3 + ["error"]


def test_how_far_a_run_is():
    assert call(Row(0, True)).share == 0.25


def test_each_row_says_what_it_is():
    """Two pictures, the first of two parts (spec sampling.md 5.1): conditional rows first."""
    network = Recording()
    asked = msgspec.structs.replace(plan(), options=SamplingOptions(batch_cond_uncond=False))
    for sampling in (plan(), asked):
        denoise = GuidedDenoiser(
            network, SigmaSpace(noise_table()), vector_texts(2, 2), sampling, total_calls=10
        )
        denoise(torch.zeros(2, 4, 2, 2), torch.tensor(1.0))
        denoise(torch.zeros(2, 4, 2, 2), torch.tensor(1.0))
    rows = (Row(0, True, 0), Row(0, True, 1), Row(1, True, 0), Row(0, False), Row(1, False))
    together, again, *apart = network.calls
    assert together.rows == again.rows == rows
    assert (together.step, again.step, again.of) == (0, 1, 10)
    assert [each.rows for each in apart[:3]] == [rows[:2], rows[2:4], rows[4:]]
    assert together.images == [0, 0, 1, 0, 1]


def test_an_edit_asks_a_third_time_blind():
    """InstructPix2Pix (spec sampling.md 5.1)."""
    texts = Conditioning(((WeightedSchedule((text(2),)),),), ((text(2),),))
    network = Recording()
    GuidedDenoiser(
        network, SigmaSpace(noise_table()), texts, plan(), total_calls=10, image_cfg_scale=1.5
    )(torch.zeros(1, 4, 2, 2), torch.tensor(1.0))
    (asked,) = network.calls
    assert asked.rows == (Row(0, True), Row(0, False), Row(0, False, blind=True))


def test_what_is_shown_stands_behind_each_rows_own_latent():
    beside = torch.tensor([10.0, 20.0]).view(2, 1, 1, 1)
    seen: list[Tensor] = []
    network = linked(lambda call: seen.append(call.x) or call.x, append_channels(beside))
    network(call(Row(0, True), Row(1, True), Row(1, False), Row(1, False, blind=True)))
    assert seen[0][:, 2, 0, 0].tolist() == [10, 20, 20, 0]
    assert seen[0][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert beside.flatten().tolist() == [10, 20]
    linked(lambda call: seen.append(call.x) or call.x, append_channels(None))(call(Row(0, True)))
    assert seen[1].shape[1] == 2
