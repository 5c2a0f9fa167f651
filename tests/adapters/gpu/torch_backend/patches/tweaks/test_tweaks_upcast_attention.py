"""Attention in single precision. Spec api.md 17.1, `upcast_attn`."""

import copy
import threading

import pytest
import torch
from torch.overrides import TorchFunctionMode

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode, encode
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import computing, prepare_unet, prepare_vae
from hexfusion.domain.plan import NetworkTweaks
from tests.adapters.gpu.torch_backend.patches.tweaks.test_tweaks import ATTENTIVE, build

pytestmark = pytest.mark.torch

SIDE = 8
PLAIN = NetworkTweaks()
UPCAST = NetworkTweaks(upcast_attention=True)


class Attended(TorchFunctionMode):
    """Notes the dtype of every query, key and value that attention is computed of."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.nn.functional.scaled_dot_product_attention:
            told = [*args, *(kwargs or {}).values()]
            self.dtypes |= {each.dtype for each in told if isinstance(each, torch.Tensor)}
        return function(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def networks():
    """UNet and VAE, in single and in half precision."""
    both = build(ATTENTIVE)
    for prepare, network in zip((prepare_unet, prepare_vae), both, strict=True):
        prepare(network)
    return both, tuple(copy.deepcopy(each).to(torch.bfloat16) for each in both)


def drawn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def call(unet, tweaks=PLAIN):
    with computing(tweaks, SIDE * 8, SIDE * 8), Attended() as attended:
        x, context = drawn((1, 4, SIDE, SIDE), 1), drawn((1, 7, 48), 2)
        return predict(unet, x, torch.full((1,), 500.0), context), attended.dtypes


def test_a_half_network_attends_in_float32_when_asked_to(networks):
    """In all of it: self-attention and attention to the text."""
    _, (unet, _) = networks
    assert call(unet)[1] == {torch.bfloat16}
    assert call(unet, UPCAST)[1] == {torch.float32}
    assert call(unet)[1] == {torch.bfloat16}


def test_the_rest_stays_half_and_the_result_is_another(networks):
    (whole, _), (half, _) = networks
    plain, upcast = call(half)[0], call(half, UPCAST)[0]
    assert not torch.equal(plain, upcast)
    exact = call(whole)[0]
    assert 0 < (upcast - exact).abs().mean() < exact.abs().mean() / 10


def test_a_network_in_float32_computes_as_before(networks):
    (whole, _), _ = networks
    assert torch.equal(call(whole)[0], call(whole, UPCAST)[0])


def test_the_vae_attends_in_float32_too(networks):
    _, (_, vae) = networks
    for there in (
        lambda: decode(vae, drawn((1, 4, SIDE, SIDE), 3), 1.0),
        lambda: encode(vae, drawn((1, 64, 64, 3), 4).clamp(0, 1), 1.0, torch.Generator()),
    ):
        with Attended() as plain:
            there()
        with computing(UPCAST, 64, 64), Attended() as upcast:
            there()
        assert (plain.dtypes, upcast.dtypes) == ({torch.bfloat16}, {torch.float32})


def test_a_thread_that_does_not_ask_for_it_computes_beside_one_that_does(networks):
    _, (unet, _) = networks
    alone = call(unet)[0]
    made = []

    def other():
        made.append(call(unet)[0])

    with computing(UPCAST, SIDE * 8, SIDE * 8):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert torch.equal(made[0], alone)
