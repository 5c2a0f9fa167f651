"""One file to a picture. Spec networks.md 1.4, and the recordings of the real server."""

import json
import socket
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.latents.vae import decode, to_pictures
from hexfusion.adapters.gpu.torch_backend.precision import HALF
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import TextPlan
from tests.adapters.gpu.torch_backend.layouts import SMALL, write_small

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[4]


def encoded(loaded: LoadedCheckpoint, text: str, **settings) -> torch.Tensor:
    """(1, tokens, width), for networks without a vector."""
    plan = TextPlan(positive=(), negative=(), **settings)
    rows = loaded.text([text], plan, (512, 512), negative=False)
    assert rows.vector is None
    return rows.context


def text_model(loaded: LoadedCheckpoint) -> torch.nn.Module:
    (encoder,) = loaded.text.encoders
    return encoder.model


@torch.inference_mode()
def euler(loaded: LoadedCheckpoint, request: dict) -> torch.Tensor:
    """The plainest sampler there is: Euler over uniform times, noise from the CPU generator."""
    alphas = loaded.alphas_cumprod
    log_sigmas = ((1 - alphas) / alphas).sqrt().log()
    times = torch.linspace(999, 0, request["steps"])
    low, high, share = times.floor().long(), times.ceil().long(), times.frac()
    sigmas = ((1 - share) * log_sigmas[low] + share * log_sigmas[high]).exp()
    options = request.get("override_settings", {})
    settings = {
        "clip_skip": options.get("CLIP_stop_at_last_layers", 1),
        "old_emphasis": options.get("use_old_emphasis_implementation", False),
    }
    texts = (request["prompt"], request.get("negative_prompt", ""))
    positive, negative = (encoded(loaded, text, **settings) for text in texts)
    shape = (1, 4, request["height"] // 8, request["width"] // 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(request["seed"])) * sigmas[0]
    for step, sigma in enumerate(sigmas):
        t = times[step : step + 1]
        noises = [
            predict(loaded.unet, x / (sigma**2 + 1).sqrt(), t, c) for c in (positive, negative)
        ]
        noise = noises[1] + (noises[0] - noises[1]) * request.get("cfg_scale", 7.0)
        following = sigmas[step + 1] if step + 1 < len(sigmas) else 0.0
        x = x + noise * (following - sigma)
    return x


@pytest.fixture(scope="module")
def tiny(shared):
    return load_checkpoint(shared / "golden/data/models/Stable-diffusion/tiny.safetensors")


@pytest.mark.parametrize(
    "case",
    [
        "default/minimal",
        "fields/w160h96",  # latent sides that are no multiples of 8
        "prompts/long",  # several chunks
        "options/clipskip2",
        "options/old_emph",  # spec prompts.md 5.5
    ],
)
def test_a_recorded_picture(tiny, shared, case):
    """No channel of any pixel off by more than 2/255 (golden/README.md)."""
    folder = shared / "golden"
    request = json.loads((folder / f"{case}.json").read_text())["request"]["json"]
    picture = to_pictures(decode(tiny.vae, euler(tiny, request), tiny.scale_factor))[0]
    recorded = Image.open(folder / f"{case}_0.png").convert("RGB")
    assert picture.size == recorded.size
    difference = max(abs(a - b) for a, b in zip(picture.tobytes(), recorded.tobytes(), strict=True))
    assert difference <= 2


def test_what_is_known_of_the_recorded_checkpoint(tiny):
    assert (tiny.family.name, tiny.prediction, tiny.scale_factor) == ("SD1", "epsilon", 0.18215)
    assert tiny.alphas_cumprod.shape == (1000,)
    assert tiny.alphas_cumprod[-1].item() == pytest.approx(0.0046600983)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "small.safetensors"


def test_no_other_machine_is_asked(path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    write_small(path)
    loaded = load_checkpoint(path)
    assert loaded.family.name == "SD1"
    assert loaded.alphas_cumprod is None


def test_a_ckpt_gives_the_same(path, tmp_path):
    tensors = write_small(path)
    torch.save({"state_dict": tensors}, tmp_path / "small.ckpt")
    one, other = load_checkpoint(path), load_checkpoint(tmp_path / "small.ckpt")
    for a, b in (
        (one.unet, other.unet),
        (one.vae, other.vae),
        (text_model(one), text_model(other)),
    ):
        mine, theirs = a.state_dict(), b.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_half_precision_file_runs_in_the_precision_asked_for(path):
    tensors = write_small(path)
    save_file({n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}, path)
    full, half = load_checkpoint(path), load_checkpoint(path, precision=HALF)
    assert full.unet.dtype == full.vae.dtype == text_model(full).dtype == torch.float32
    assert half.unet.dtype == half.vae.dtype == text_model(half).dtype == torch.float16
    assert encoded(half, "cat").dtype == torch.float32


def test_a_running_model_survives_its_file(path):
    """Users copy a new version over the old one while the server runs."""
    write_small(path)
    loaded = load_checkpoint(path)
    x, t = torch.ones(1, 4, 4, 4), torch.ones(1)
    context = torch.ones(1, 77, SMALL["context"])
    with torch.inference_mode():
        before = predict(loaded.unet, x, t, context)
        with path.open("r+b") as file:
            file.write(b"\0" * path.stat().st_size)
        assert torch.equal(predict(loaded.unet, x, t, context), before)


def test_the_files_noise_table_is_used_as_stored(path):
    """Spec sampling.md 2.1: a half-precision file carries a half-rounded table."""
    table = torch.linspace(0.999, 0.004, 1000).half()
    write_small(path, alphas_cumprod=table)
    assert torch.equal(load_checkpoint(path).alphas_cumprod, table.float())
    write_small(path, alphas_cumprod=table[:10])
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(path)
    assert refused.value.tensor == "alphas_cumprod"


def test_the_yaml_sets_prediction_and_noise(path):
    """Spec networks.md 1.4 and sampling.md 2.1."""
    write_small(path)
    params = "linear_start: 0.00085, linear_end: 0.0120, parameterization: v"
    path.with_suffix(".yaml").write_text(f"model: {{params: {{{params}}}}}")
    loaded = load_checkpoint(path)
    assert loaded.prediction == "v"
    assert loaded.alphas_cumprod[0].item() == pytest.approx(0.99914998, abs=1e-7)
    assert loaded.alphas_cumprod[999].item() == pytest.approx(0.0046600983, abs=1e-8)


def test_a_missing_tensor_is_named(path):
    name = "model.diffusion_model.output_blocks.4.2.conv.bias"
    write_small(path, **{name: None})
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(path)
    assert (refused.value.file, refused.value.tensor) == (str(path), name)


def test_the_starter_needs_no_yaml():
    """The shipped checkpoint follows SD1's conventions for all that shapes cannot tell."""
    path = ROOT / "adapters/storage/assets/hexfusion-starter.safetensors"
    if not path.exists():
        pytest.skip(f"the starter is absent: {path}")
    loaded = load_checkpoint(path)
    assert loaded.family.name == "SD1"
    assert loaded.latent_rgb is not None
    with torch.inference_mode():
        context = encoded(loaded, "a red circle")
        x = torch.zeros(1, 4, 8, 8)
        assert predict(loaded.unet, x, torch.tensor([500.0]), context).isfinite().all()
        assert decode(loaded.vae, x, loaded.scale_factor).shape == (1, 64, 64, 3)
