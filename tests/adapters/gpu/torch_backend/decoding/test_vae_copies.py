"""Spec networks.md 1.6: what overflows is tried again in another precision, and only that.

A1111 changes the VAE for good, so that later pictures depend on what was drawn before them; here
nobody writes to a network that jobs share.
"""

import gc
import threading
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.architectures.builders import build_vae
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes, infer_vae
from hexfusion.adapters.gpu.torch_backend.decoding.previews import Previews
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies, copied
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import computing
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing
from hexfusion.domain.errors import NotANumber
from hexfusion.domain.plan import NetworkTweaks, PreviewPlan
from tests.adapters.gpu.torch_backend.layouts import random_tensors, vae_layout

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


def made(dtype: torch.dtype = torch.float16, seed: int = 0):
    layout = vae_layout((32, 64, 64, 64), 1)
    tensors = {f"first_stage_model.{n}": t for n, t in random_tensors(layout, seed).items()}
    weights = Weights("m.safetensors", tensors)
    architecture = infer_vae(Shapes("m.safetensors", weights.shapes()))
    return build_vae(architecture, weights, CPU, dtype)


def latents() -> Tensor:
    """Two that fit into float16, and between them one that does not."""
    z = torch.randn((3, 4, 2, 3), generator=torch.Generator().manual_seed(0))
    z[1] *= 1e5
    return z


def copies() -> VaeCopies:
    return VaeCopies(Placing(CPU))


def bytes_in(network: nn.Module) -> int:
    return bytes_of(network.parameters())


def tensors_of(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def test_an_overflow_in_half_precision_is_tried_again_in_float32():
    vae, z = made(), latents()
    with pytest.raises(NotANumber):
        decode(vae, z, 1.0)
    with pytest.raises(NotANumber):
        decode(vae, z, 1.0, retry=copies().retry(torch.float16))  # is it already
    again = decode(vae, z, 1.0, retry=copies().retry(torch.float32))
    assert torch.equal(again[1], decode(copied(vae, torch.float32), z[1:2], 1.0)[0])


def test_every_picture_is_what_it_is_in_a_process_of_its_own():
    """Those after one that overflowed, too: in its batch, and in later ones."""
    vae, z, retry = made(), latents(), copies().retry(torch.float32)
    batch = decode(vae, z, 1.0, retry=retry)
    for each, picture in zip(z, batch, strict=True):
        assert torch.equal(
            decode(made(), each[None], 1.0, retry=copies().retry(torch.float32))[0], picture
        )
        assert torch.equal(decode(vae, each[None], 1.0, retry=retry)[0], picture)
    assert not torch.equal(batch[2], decode(copied(vae, torch.float32), z[2:], 1.0)[0])


@dataclass
class Shown:
    """As much of a checkpoint as a preview by its VAE asks for."""

    vae: nn.Module
    scale_factor: float = 1.0

    @property
    def autoencoder(self) -> nn.Module:
        return self.vae


def test_previews_try_again_as_pictures_do():
    vae, z, small = made(), latents(), SmallDecoders(None, CPU, torch.float32)
    plan, turn, retry = PreviewPlan(method="Full"), threading.Lock(), copies().retry(torch.float32)
    shown = Previews(plan, small, turn, retry=retry).pixels(Shown(vae), z)
    assert torch.equal(shown, decode(vae, z, 1.0, retry=retry))
    assert vae.dtype == torch.float16
    with pytest.raises(NotANumber):  # where the options say so
        Previews(plan, small, turn, retry=copies().retry(None)).pixels(Shown(vae), z)


def test_the_vae_is_only_read():
    vae = made()
    before = [(id(each), each._version, each.dtype, each.clone()) for each in tensors_of(vae)]
    decode(vae, latents(), 1.0, retry=copies().retry(torch.float32))
    assert vae.dtype == torch.float16
    now = [(id(each), each._version, each.dtype) for each in tensors_of(vae)]
    assert now == [each[:3] for each in before]
    assert all(torch.equal(a, b[3]) for a, b in zip(tensors_of(vae), before, strict=True))


def test_a_copy_shares_no_tensor_and_no_module():
    vae = made()
    other = copied(vae, torch.bfloat16)
    assert {each.dtype for each in tensors_of(other)} == {torch.bfloat16}
    assert not any(each.requires_grad or each.is_inference() for each in other.parameters())
    assert not other.training
    assert not {id(each) for each in vae.modules()} & {id(each) for each in other.modules()}
    one, two = ({each.data_ptr() for each in tensors_of(each)} for each in (vae, other))
    assert not one & two
    layouts = ([each.stride() for each in tensors_of(network)] for network in (vae, other))
    assert next(layouts) == next(layouts)


def test_a_copy_heeds_the_tweaks_of_a_job():
    vae, z = copied(made(), torch.float32), latents()[:1]
    plain = decode(vae, z, 1.0)
    with computing(NetworkTweaks(tiling=True), 24, 16):
        assert not torch.equal(decode(vae, z, 1.0), plain)


def test_the_copy_made_last_is_kept_and_counted():
    use, vae, other = copies(), made(), made(seed=1)
    assert (use.size(), use.drop()) == (0, 0)
    assert use.of(vae, torch.float16) is vae
    assert use.size() == 0
    copy = use.of(vae, torch.float32)
    assert use.of(vae, torch.float32) is copy
    assert use.size() == 2 * bytes_in(vae) == bytes_in(copy)
    assert use.of(vae, torch.bfloat16).dtype == torch.bfloat16
    assert use.size() == bytes_in(vae)
    use.of(other, torch.float32)
    assert use.size() == 2 * bytes_in(other)
    assert use.of(vae, torch.float32) is not copy


def test_dropping_tells_what_nobody_computes_with():
    use, vae = copies(), made()
    copy = use.of(vae, torch.float32)
    assert (use.drop(), use.size()) == (0, 0)
    assert use.of(vae, torch.float32) is not copy
    del copy
    assert use.drop() == 2 * bytes_in(vae)


def test_a_copy_goes_with_its_vae():
    use, vae = copies(), made()
    use.of(vae, torch.float32)
    del vae
    gc.collect()
    assert use.size() == 0


def test_the_first_try_is_logged_once(caplog):
    use, vae = copies(), made()
    for _ in range(3):
        decode(vae, latents(), 1.0, retry=use.retry(torch.float32))
    assert caplog.text.count("float16") == 1 and "--no-half-vae" in caplog.text


def test_many_threads_ask_and_let_go_at_once():
    use, vaes, wrong = copies(), [made(seed=seed) for seed in range(2)], []
    turn = threading.Lock()

    def work(index: int) -> None:
        try:
            for _ in range(20):
                with turn:
                    copy = use.of(vaes[index % 2], torch.float32)
                ours = vaes[index % 2].decoder.conv_out.weight
                if not torch.equal(copy.decoder.conv_out.weight, ours.float()):
                    wrong.append(index)
                use.size()
                if index == 3:
                    use.drop()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_the_copy_before_goes_before_there_is_another():
    """Two copies at once would be too much, where one VAE is already."""
    copies = VaeCopies(Placing(CPU))
    held: list[int] = []

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, dtype=torch.float16), requires_grad=False)

        @property
        def dtype(self) -> torch.dtype:
            return self.weight.dtype

        def __deepcopy__(self, memo: dict[int, object]) -> "Small":
            held.append(copies.size())
            other = Small()
            other.weight = memo[id(self.weight)]
            return other

    vaes = [Small(), Small()]
    for vae in vaes:
        assert copies.of(vae, torch.float32).dtype == torch.float32
    assert held == [0, 0]
    assert copies.size() == 12
