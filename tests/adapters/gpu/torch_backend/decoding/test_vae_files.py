"""Spec networks.md 1.6: VAEs from files of their own."""

import json
import os
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.decoding.vae_files import VaeFiles, load_vae
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode, to_pictures
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import computing
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import NetworkTweaks
from hexfusion.domain.vaes import VaeFile
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, vae_layout, write_small
from tests.adapters.gpu.torch_backend.test_checkpoint import euler

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
LAYOUT = vae_layout(SMALL["vae_channels"], SMALL["vae_blocks"])
LATENTS = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    write_small(path)
    return load_checkpoint(path)


@pytest.fixture
def write(tmp_path):
    """Writes a VAE of random tensors and names it."""

    def write(name: str, seed: int = 1, **changes: torch.Tensor | None) -> VaeFile:
        path: Path = tmp_path / name
        tensors = {**random_tensors(LAYOUT, seed), **changes}
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        if path.suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save({"state_dict": tensors}, path)
        return VaeFile(name=name, filename=str(path))

    return write


def files(**settings) -> VaeFiles:
    return VaeFiles(CPU, torch.float32, **settings)


def pixels(vae, model) -> torch.Tensor:
    return decode(vae, LATENTS, model.scale_factor)


def test_the_tensors_are_those_of_the_file(model, write):
    vae = files().get(write("a.safetensors", seed=5), model)
    tensors = random_tensors(LAYOUT, seed=5)
    state = vae.state_dict()
    assert torch.equal(state["decoder.conv_in.weight"], tensors["decoder.conv_in.weight"])
    attention = "mid_block.attentions.0.to_q.weight"
    stored = tensors["encoder.mid.attn_1.q.weight"]
    assert torch.equal(state[f"encoder.{attention}"], stored[:, :, 0, 0])
    assert not vae.training


def test_without_a_file_it_is_the_checkpoints_own(model):
    assert files().get(None, model) is model.vae


def test_the_checkpoints_own_is_never_written_to(model, write):
    own = {name: tensor.clone() for name, tensor in model.vae.state_dict().items()}
    before = pixels(model.vae, model)
    use = files()
    other = use.get(write("a.safetensors"), model)
    assert not torch.equal(pixels(other, model), before)
    other.to(torch.bfloat16)
    assert torch.equal(pixels(use.get(None, model), model), before)
    assert all(torch.equal(own[name], tensor) for name, tensor in model.vae.state_dict().items())


def test_it_heeds_the_tweaks_of_a_job(model, write):
    vae = files().get(write("a.safetensors"), model)
    plain = pixels(vae, model)
    with computing(NetworkTweaks(tiling=True), 32, 32):
        assert not torch.equal(pixels(vae, model), plain)
    assert torch.equal(pixels(vae, model), plain)


@pytest.mark.parametrize("name", ["a.pt", "a.ckpt"])
def test_torch_files(model, write, name):
    use = files(cached=lambda: 1)
    both = [use.get(write(each), model) for each in (name, "a.safetensors")]
    assert torch.equal(*(pixels(vae, model) for vae in both))


def test_what_training_left_is_dropped(model, write):
    left = ("loss.logvar", "loss.discriminator.main.0.weight", "model_ema.decay")
    extra = {name: torch.ones(1) for name in (*left, "model_ema.num_updates")}
    path = Path(write("a.safetensors", **extra).filename)
    assert load_vae(path, model, CPU, torch.float16).dtype == torch.float16


@pytest.mark.parametrize(
    ("changes", "tensor", "words"),
    [
        ({"decoder.conv_in.bias": None}, "decoder.conv_in.bias", "is missing"),
        ({"model_ema.encoderconv_inbias": torch.ones(1)}, "model_ema.encoderconv_inbias", "place"),
        (
            {"decoder.up.4.block.0.norm1.bias": torch.ones(1)},
            "decoder.up.4.block.0.norm1.bias",
            "has no",
        ),
        ({"quant_conv.bias": torch.ones(6)}, "quant_conv.bias", r"\[6\], expected \[8\]"),
    ],
)
def test_what_does_not_fit_is_named(model, write, changes, tensor, words):
    vae = write("a.safetensors", **changes)
    with pytest.raises(CheckpointError, match=words) as refused:
        files().get(vae, model)
    assert (refused.value.file, refused.value.tensor) == (vae.filename, tensor)


def test_diffusers_names_are_not_converted(model, tmp_path):
    path = tmp_path / "a.safetensors"
    state = {name: tensor.contiguous() for name, tensor in model.vae.state_dict().items()}
    save_file(state, path)
    with pytest.raises(CheckpointError, match="no place in the VAE") as refused:
        load_vae(path, model, CPU, torch.float32)
    assert refused.value.file == str(path)


def test_another_architecture_is_refused(model, tmp_path):
    path = tmp_path / "wide.safetensors"
    save_file(random_tensors(vae_layout((64, 64, 64, 64), 1)), path)
    with pytest.raises(CheckpointError, match="has shape"):
        load_vae(path, model, CPU, torch.float32)


@pytest.mark.parametrize("name", ["none.pt", "garbage.pt", "garbage.safetensors"])
def test_a_file_that_cannot_be_read_leaves_what_is_held(model, write, tmp_path, name):
    use = files()
    good = write("a.safetensors")
    held = use.get(good, model)
    if name.startswith("garbage"):
        (tmp_path / name).write_bytes(b"garbage" * 100)
    bad = VaeFile(name=name, filename=str(tmp_path / name))
    with pytest.raises(CheckpointError) as refused:
        use.get(bad, model)
    assert refused.value.file == bad.filename
    assert use.get(good, model) is held


def test_code_in_a_file_is_not_run(model, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save({"decoder.conv_in.weight": Evil()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"mkdir.*which no tensors need"):
        load_vae(tmp_path / "a.pt", model, CPU, torch.float32)
    assert not (tmp_path / "evil").exists()


def test_the_last_used_is_kept_and_as_many_more_as_the_option_says(model, write):
    """Option sd_vae_checkpoint_cache."""
    limit = 0
    use = files(cached=lambda: limit)
    a, b, c = (write(f"{name}.safetensors", seed) for seed, name in enumerate("abc"))
    first = use.get(a, model)
    assert use.get(a, model) is first
    assert use.get(None, model) is model.vae  # does not count
    assert use.get(a, model) is first
    use.get(b, model)
    again = use.get(a, model)
    assert again is not first
    limit = 1
    use.get(b, model)
    assert use.get(a, model) is again
    use.get(c, model)  # b was used longest ago
    assert use.get(a, model) is again
    limit = -5
    held = use.get(c, model)
    assert use.get(c, model) is held
    use.drop()
    assert use.get(c, model) is not held


def test_a_file_that_was_replaced_is_loaded_again(model, write):
    use = files()
    before = use.get(write("a.safetensors", seed=1), model)
    replaced = write("a.safetensors", seed=2)
    os.utime(replaced.filename, (4e9, 4e9))
    after = use.get(replaced, model)
    assert not torch.equal(pixels(before, model), pixels(after, model))


def test_checkpoints_of_one_architecture_share_a_vae(model, write, tmp_path):
    write_small(tmp_path / "twin.safetensors")
    use, vae = files(), write("a.safetensors")
    twin = load_checkpoint(tmp_path / "twin.safetensors")
    assert use.get(vae, twin) is use.get(vae, model)


def test_threads_with_different_vaes_do_not_disturb_each_other(model, write):
    """With room for one, so that each throws the other's out all the time."""
    use = files()
    chosen = [None, write("a.safetensors", seed=1), write("b.safetensors", seed=2)]
    expected = [pixels(use.get(vae, model), model) for vae in chosen]
    differing: list[int] = []

    def decode_again(index: int) -> None:
        for _ in range(4):
            if not torch.equal(pixels(use.get(chosen[index], model), model), expected[index]):
                differing.append(index)

    threads = [threading.Thread(target=decode_again, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.numpy().tobytes() for each in expected}) == 3
    assert differing == []


@pytest.mark.parametrize("case", ["options/vae", "options/vae_then_default"])
def test_a_recorded_picture(shared, case):
    """No channel of any pixel off by more than 2/255 (golden/README.md)."""
    data = shared / "golden" / "data" / "models"
    tiny = load_checkpoint(data / "Stable-diffusion" / "tiny.safetensors")
    request = json.loads((shared / "golden" / f"{case}.json").read_text())["request"]["json"]
    name = request.get("override_settings", {}).get("sd_vae")
    vae = VaeFile(name=name, filename=str(data / "VAE" / name)) if name else None
    decoder = files().get(vae, tiny)
    picture = to_pictures(decode(decoder, euler(tiny, request), tiny.scale_factor))[0]
    recorded = Image.open(shared / "golden" / f"{case}_0.png").convert("RGB")
    pairs = zip(picture.tobytes(), recorded.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 2
