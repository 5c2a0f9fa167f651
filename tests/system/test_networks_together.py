"""Requests with different LoRAs, embeddings and hypernetworks at once (issue 6, Shows 3)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from msgspec.structs import replace  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from hexfusion.bootstrap import build  # noqa: E402
from hexfusion.domain.errors import CheckpointError, InvalidRequest  # noqa: E402
from hexfusion.domain.generation import Txt2Img  # noqa: E402
from tests.adapters.gpu.torch_backend.extra_networks.files import deltas, write_lora  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout  # noqa: E402
from tests.sight import assert_differ, assert_mixing_would_show  # noqa: E402

pytestmark = pytest.mark.torch

LAYOUT = sd1_layout(**SMALL)
LAYERS = [
    name
    for name, shape in LAYOUT.items()
    if len(shape) in (2, 4) and ("transformer_blocks" in name or ".self_attn." in name)
]
PLAIN = Txt2Img(prompt="a cat", steps=2, width=64, height=64, sampler_name="Euler", seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    for name in ("models/Stable-diffusion", "models/Lora", "models/hypernetworks", "embeddings"):
        (data / name).mkdir(parents=True)
    for seed, name in enumerate(("one", "other")):
        path = data / f"models/Stable-diffusion/{name}.safetensors"
        save_file(random_tensors(LAYOUT, seed), path)
    for seed in range(4):
        write_lora(data / f"models/Lora/l{seed}.safetensors", deltas(LAYOUT, LAYERS, seed))
    torch.manual_seed(0)
    save_file({"x": torch.randn(2, 48)}, data / "embeddings/catlike.safetensors")
    state = {
        "linear.0.weight": torch.randn(96, 48), "linear.0.bias": torch.randn(96),
        "linear.1.weight": torch.randn(48, 96), "linear.1.bias": torch.randn(48),
    }  # fmt: skip
    torch.save({48: (state, state)}, data / "models/hypernetworks/hn.pt")
    return data


@pytest.fixture(scope="module")
def studio(folder):
    return build(["--data-dir", str(folder), "--slots", "8", "--no-download-sd-model"])


def made(studio, request):
    (picture,) = studio.txt2img(request).pictures
    return picture.image


def pixels(studio, request):
    return made(studio, request).tobytes()


def request(index):
    """Four sets of networks, over two checkpoints."""
    prompts = (
        "a cat <lora:l0:1>",
        "a cat <lora:l1:0.5:0.9> <lora:l2:-0.7>",
        "a cat, catlike <lora:l3:0.8>",
        "a cat <lora:l0:0.4> <hypernet:hn:0.8>",
    )
    model = "one" if index < 4 else "other"
    settings = {"sd_model_checkpoint": model}
    return replace(PLAIN, prompt=prompts[index % 4], override_settings=settings)


def test_eight_at_once_are_as_each_alone_and_leave_nothing_behind(studio):
    before = made(studio, PLAIN)
    alone = [made(studio, request(index)) for index in range(8)]
    assert_mixing_would_show(before, *alone)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda index: pixels(studio, request(index)), range(8)))
    assert together == [each.tobytes() for each in alone]
    assert pixels(studio, PLAIN) == before.tobytes()


def test_the_second_pass_has_its_own(studio):
    both = replace(PLAIN, prompt="a cat <lora:l0:1>", enable_hr=True, denoising_strength=0.6)
    first_only = replace(both, hr_prompt="a cat")
    second_only = replace(both, prompt="a cat", hr_prompt="a cat <lora:l0:1>")
    neither = replace(both, prompt="a cat")
    assert_mixing_would_show(
        *(made(studio, each) for each in (both, first_only, second_only, neither))
    )
    told = studio.txt2img(second_only).info.extra_generation_params
    assert told["Lora hashes"].startswith("l0: ")


def test_a_missing_network_is_told_and_the_picture_is_the_plain_one(studio):
    told = studio.txt2img(replace(PLAIN, prompt="a cat<lora:nope:1><hypernet:nope>"))
    assert told.info.comments == ["Lora not found: nope", "Hypernetwork not found: nope"]
    assert [each.image.tobytes() for each in told.pictures] == [pixels(studio, PLAIN)]


def test_if_strict_it_is_an_error(folder):
    strict = build(["--data-dir", str(folder), "--strict-networks", "--no-download-sd-model"])
    with pytest.raises(InvalidRequest, match="Lora not found: nope"):
        strict.txt2img(replace(PLAIN, prompt="a cat <lora:nope:1>"))


def test_a_damaged_lora_is_an_error_that_names_it(folder, studio):
    before = pixels(studio, PLAIN)
    (folder / "models/Lora/bad.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        studio.txt2img(replace(PLAIN, prompt="a cat <lora:bad:1>"))
    assert pixels(studio, PLAIN) == before


def test_disabled_networks_are_left_out(studio):
    disabled = replace(PLAIN, prompt="a cat<lora:l0:1>", disable_extra_networks=True)
    plain, enabled = (
        made(studio, replace(disabled, disable_extra_networks=False, prompt=prompt))
        for prompt in ("a cat", "a cat<lora:l0:1>")
    )
    assert_mixing_would_show(plain, enabled)
    assert pixels(studio, disabled) == plain.tobytes()


def test_an_option_adds_one_to_every_prompt(studio):
    settings = {"sd_lora": "l0", "extra_networks_default_multiplier": 0.5}
    by_option = studio.txt2img(replace(PLAIN, override_settings=settings))
    by_tag = studio.txt2img(replace(PLAIN, prompt="a cat<lora:l0:0.5>"))
    assert_differ(by_tag.pictures[0].image, made(studio, PLAIN))
    assert by_option.pictures[0].image.tobytes() == by_tag.pictures[0].image.tobytes()
    assert by_option.pictures[0].infotext == by_tag.pictures[0].infotext
