"""What tweaks do to whole networks, and what they leave alone. Spec sampling.md 7."""

import copy
import threading
from itertools import chain
from random import Random

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from hexfusion.adapters.gpu.torch_backend.architectures.builders import (
    build_unet,
    build_vae,
    predict,
)
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode, encode
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import computing, prepare_unet, prepare_vae
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import current
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.preparation import MIDDLE, hypertile_depth
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.seamless import SeamlessConv2d
from hexfusion.domain.plan import Hypertile, NetworkTweaks
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
#: Attention at every level, the latent's own too, as in SD1.
ATTENTIVE = {**SMALL, "depths": (1, 1, 1)}
SIDE = 32
PIXELS = (SIDE * 8, SIDE * 8)
SEAMLESS = NetworkTweaks(tiling=True)
MERGED = NetworkTweaks(token_merging_ratio=0.5)
#: Cuts 32 x 32 tokens into four, one way only.
TILED = NetworkTweaks(hypertile_unet=Hypertile(max_tile=128, swap_size=1))


def build(sizes):
    layout = sd1_layout(**sizes)
    tensors = random_tensors(layout)
    found = infer_architecture(Shapes("m.safetensors", layout), OriginalConfig())
    weights = Weights("m.safetensors", tensors)
    return (
        build_unet(found.unet, weights, CPU, torch.float32),
        build_vae(found.vae, weights, CPU, torch.float32),
    )


@pytest.fixture(scope="module")
def networks():
    unet, vae = build(ATTENTIVE)
    prepare_unet(unet)
    prepare_vae(vae)
    return unet, vae


@pytest.fixture(scope="module")
def plain(networks):
    """The same, of torch's and diffusers' own parts alone."""
    copies = copy.deepcopy(networks)
    for module in chain.from_iterable(network.modules() for network in copies):
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
        if isinstance(module, SeamlessConv2d):
            module.__class__ = torch.nn.Conv2d
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor2_0())
    return copies


@pytest.fixture
def unet(networks):
    return networks[0]


@pytest.fixture
def vae(networks):
    return networks[1]


def latents(height=SIDE, width=SIDE, rows=1, seed=1):
    return torch.randn((rows, 4, height, width), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def call(unet, x):
    """One UNet call on fixed text."""
    context = torch.randn((1, 7, 48), generator=torch.Generator().manual_seed(2))
    return predict(unet, x, torch.full((len(x),), 500.0), context.expand(len(x), -1, -1))


def tweaked(unet, x, tweaks, size=PIXELS):
    with computing(tweaks, *size):
        return call(unet, x)


def test_a_prepared_network_computes_as_before(plain, networks):
    """Bit for bit, and under the same names."""
    x = latents()
    for before, after in zip(plain, networks, strict=True):
        assert list(before.state_dict()) == list(after.state_dict())
    assert torch.equal(call(networks[0], x), call(plain[0], x))
    assert torch.equal(tweaked(networks[0], x, NetworkTweaks()), call(plain[0], x))
    assert torch.equal(decode(networks[1], x, 1.0), decode(plain[1], x, 1.0))


def hooks(network, kind):
    return sum(len(getattr(module, kind)) for module in network.modules())


def test_preparing_twice_is_preparing_once(networks):
    unet, vae = copy.deepcopy(networks)
    prepare_unet(unet)
    prepare_vae(vae)
    for once, twice in zip(networks, (unet, vae), strict=True):
        for kind in ("_forward_pre_hooks", "_forward_hooks"):
            assert hooks(twice, kind) == hooks(once, kind) > 0
    assert torch.equal(tweaked(unet, latents(), MERGED), tweaked(networks[0], latents(), MERGED))


@pytest.mark.parametrize("tweaks", [SEAMLESS, MERGED, TILED])
def test_each_tweak_ends_with_its_pass(unet, tweaks):
    x = latents()
    before = call(unet, x)
    during = tweaked(unet, x, tweaks)
    assert not torch.allclose(during, before, rtol=1e-3, atol=1e-4)
    assert torch.equal(call(unet, x), before)
    assert torch.equal(tweaked(unet, x, tweaks), during)


def test_a_failed_pass_leaves_nothing_behind(unet):
    x = latents()
    before = call(unet, x)
    everything = NetworkTweaks(
        tiling=True, token_merging_ratio=0.5, hypertile_unet=TILED.hypertile_unet
    )
    with pytest.raises(RuntimeError), computing(everything, *PIXELS):
        call(unet, x[:, :3])  # a channel is missing
    with pytest.raises(KeyboardInterrupt), computing(everything, *PIXELS):
        raise KeyboardInterrupt
    assert torch.equal(call(unet, x), before)


def test_another_thread_does_not_notice(unet):
    """Two jobs on one network: each call obeys the tweaks of the thread that makes it."""
    x, seen = latents(), []
    before = call(unet, x)
    with computing(SEAMLESS, *PIXELS):
        other = threading.Thread(target=lambda: seen.append(call(unet, x)))
        other.start()
        other.join()
        own = call(unet, x)
    assert torch.equal(seen[0], before)
    assert not torch.equal(own, before)


def test_the_inner_one_alone_counts(unet):
    x = latents()
    before, merged = call(unet, x), tweaked(unet, x, MERGED)
    with computing(SEAMLESS, *PIXELS):
        assert torch.equal(tweaked(unet, x, NetworkTweaks()), before)
        assert torch.equal(tweaked(unet, x, MERGED), merged)


def test_tiling_has_no_edges(unet, vae):
    """Shifting the latent round its edges shifts the outcome: no layer knows where an edge is."""
    x = latents(16, 24)
    for shift in ((4, 8), (8, -4)):
        moved = tweaked(unet, x.roll(shift, (2, 3)), SEAMLESS)
        expected = tweaked(unet, x, SEAMLESS).roll(shift, (2, 3))
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(
            call(unet, x.roll(shift, (2, 3))), call(unet, x).roll(shift, (2, 3)), atol=1e-2
        )
    with computing(SEAMLESS, *PIXELS):
        picture, moved = decode(vae, x, 1.0), decode(vae, x.roll((3, 5), (2, 3)), 1.0)
    assert (moved.int() - picture.roll((24, 40), (1, 2)).int()).abs().max() <= 1
    assert not torch.equal(decode(vae, x, 1.0), picture)


def test_the_encoder_is_tiled_but_for_its_downsampling(vae):
    """It puts zeros to the right and below by itself, tiling or not."""
    images = torch.rand((1, 32, 32, 3), generator=torch.Generator().manual_seed(0))

    def encoded():
        return encode(vae, images, 1.0, torch.Generator().manual_seed(0))

    before = encoded()
    with computing(SEAMLESS, 32, 32):
        assert not torch.allclose(encoded(), before, atol=1e-4)
    down = vae.encoder.down_blocks[0].downsamplers[0]
    assert type(down.conv) is torch.nn.Conv2d
    assert isinstance(vae.encoder.conv_in, SeamlessConv2d)
    features = torch.ones(1, down.channels, 4, 4)
    with torch.inference_mode(), computing(SEAMLESS, 32, 32):
        here = down(features)
    assert torch.equal(here, down(features))
    assert not torch.allclose(here[..., 0, 0], here[..., 1, 1])  # the last one saw the zeros


def lengths(unet, tweaks, x, size=PIXELS):
    """(rows, tokens) that each self-attention's queries were made of, by the layer's name."""
    seen = {}

    def note(name):
        def hook(module, args):
            seen[name] = tuple(args[0].shape[:2])

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name.partition(".attentions")[0]))
        for name, module in unet.named_modules()
        if name.endswith("attn1.to_q")
    ]
    tweaked(unet, x, tweaks, size)
    for hook in hooks:
        hook.remove()
    return seen


def test_tokens_are_merged_at_full_resolution_only(unet):
    seen = lengths(unet, MERGED, latents(rows=2))
    assert seen == {
        "down_blocks.0": (2, 512),
        "down_blocks.1": (2, 256),
        "down_blocks.2": (2, 64),
        "mid_block": (2, 64),
        "up_blocks.0": (2, 64),
        "up_blocks.1": (2, 256),
        "up_blocks.2": (2, 512),
    }


def test_a_network_without_attention_there_merges_nothing():
    """SDXL's kind."""
    unet, _ = build(SMALL)
    prepare_unet(unet)
    x = latents(8, 8)
    assert torch.equal(tweaked(unet, x, MERGED, (64, 64)), call(unet, x))


def test_merging_takes_the_latents_own_sides(unet):
    """Not the picture's: a second pass may crop its latent."""
    x = latents(12, 20)
    assert torch.equal(tweaked(unet, x, MERGED, (160, 96)), tweaked(unet, x, MERGED, (999, 8)))


def test_hypertile_reaches_as_deep_as_it_may(unet):
    """At 128 x 64 tokens, with edges of 16 at least, at the next level twice that."""
    x, size = latents(64, 128), (1024, 512)
    seen = {
        depth: lengths(
            unet,
            NetworkTweaks(hypertile_unet=Hypertile(max_tile=128, swap_size=1, depth=depth)),
            x,
            size,
        )
        for depth in (0, 1)
    }
    for depth, tiles in ((0, (1, 2048)), (1, (2, 1024))):
        assert seen[depth]["down_blocks.0"] == seen[depth]["up_blocks.2"] == (32, 256)
        assert seen[depth]["down_blocks.1"] == seen[depth]["up_blocks.1"] == tiles
        assert seen[depth]["down_blocks.2"] == seen[depth]["mid_block"] == (1, 512)


def test_one_tile_is_plain_attention(unet):
    """8 x 8 tokens are below the shortest edge: the draws are made, nothing is cut."""
    x = latents(8, 8)
    assert torch.equal(tweaked(unet, x, TILED, (64, 64)), call(unet, x))


def test_draws_go_on_from_call_to_call_and_begin_again_with_a_pass(unet):
    x, size = latents(), PIXELS
    tweaks = NetworkTweaks(hypertile_unet=Hypertile(max_tile=128, swap_size=3, seed=5))
    with computing(tweaks, *size):
        first = [call(unet, x) for _ in range(3)]
        with computing(tweaks, *size):  # such as a preview
            assert torch.equal(call(unet, x), first[0])
        fourth = call(unet, x)
    with computing(tweaks, *size):
        again = [call(unet, x) for _ in range(4)]
    assert all(map(torch.equal, again, [*first, fourth]))
    assert not torch.equal(first[0], first[1])
    other = NetworkTweaks(hypertile_unet=Hypertile(max_tile=128, swap_size=3, seed=6))
    assert not torch.equal(tweaked(unet, x, other, size), first[0])


def test_the_vae_is_tiled_for_itself(unet, vae):
    x = latents()
    tweaks = NetworkTweaks(hypertile_vae=Hypertile(max_tile=128, swap_size=1))
    before = decode(vae, x, 1.0)
    with computing(tweaks, *PIXELS):
        assert not torch.equal(decode(vae, x, 1.0), before)
        assert torch.equal(decode(vae, x[..., :8, :8], 1.0), decode(vae, x[..., :8, :8], 1.0))
        inside = call(unet, x)
    assert torch.equal(inside, call(unet, x))
    with computing(TILED, *PIXELS):
        assert torch.equal(decode(vae, x, 1.0), before)


def test_unet_and_vae_draw_in_turn_from_one_source():
    """A1111 has one generator, seeded with the job's first seed."""
    unet, vae = Hypertile(max_tile=256, seed=8), Hypertile(max_tile=128, seed=8)
    both = NetworkTweaks(hypertile_unet=unet, hypertile_vae=vae)
    with computing(both, 512, 512):
        draws = [current().draws(each).randint(0, 9) for each in (unet, vae, unet, vae)]
    source = Random(8)
    assert draws == [source.randint(0, 9) for _ in range(4)]


@pytest.mark.parametrize(
    ("level", "block", "sdxl", "depth"),
    [
        (0, 0, False, 0),
        (1, 0, False, 1),
        (2, 0, False, 2),
        (MIDDLE, 0, False, 3),
        (1, 0, True, 0),
        (1, 1, True, 1),
        (1, 2, True, None),
        (2, 0, True, 1),
        (2, 9, True, 1),
        (MIDDLE, 9, True, 2),
    ],
)
def test_how_deep_a_layer_counts(level, block, sdxl, depth):
    """Spec scripts.md 14, Hypertile: layers by depth."""
    assert hypertile_depth(level, block, sdxl=sdxl) == depth
