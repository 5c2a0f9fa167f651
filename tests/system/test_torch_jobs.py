"""Jobs over the real networks of the checkpoint that ships: none notices another.

The same with the fake backend, and more of it at once: test_concurrency.py.
"""

import os
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.concurrency import ask, ask_at_once
from benchmarks.fidelity import compare
from benchmarks.harness import RECORDINGS, STARTER, Client, order
from hexfusion import bootstrap
from hexfusion.adapters.http.serving.server import Server
from hexfusion.domain.flags import parse_flags
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS
from tests.sight import assert_differ

#: `long`: it takes half a minute, with few tests.
pytestmark = [pytest.mark.torch, pytest.mark.long]

PROMPT = "(a red circle:1.4) on a blue background, [a green star:a yellow ring:2]"


MODELS = RECORDINGS / "data/models"
TINY = {"sd_model_checkpoint": "tiny.safetensors"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that runs two jobs at once, with the starter checkpoint, and the recorded one."""
    data = tmp_path_factory.mktemp("data")
    argv = ["--data-dir", str(data), "--slots", "2", "--threads", "1", "--ckpt", str(STARTER)]
    if MODELS.is_dir():
        argv += ["--ckpt-dir", str(MODELS / "Stable-diffusion"), "--vae-dir", str(MODELS / "VAE")]
    container = bootstrap.assemble(parse_flags(argv, {}, absolute=os.path.abspath))
    server = Server(bootstrap.build_app(container), host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join(30)


def wanted(**fields: Any) -> dict[str, Any]:
    """A request of which two take long enough to overlap."""
    return {**order(prompt=PROMPT, seed=7, steps=12), **fields}


#: Requests that differ in what they override, or in what they change in the networks.
PAIRS = {
    "clip skip": ({"override_settings": {"CLIP_stop_at_last_layers": 2}}, {}),
    "noise source": (
        {"override_settings": {"randn_source": "NV"}},
        {"override_settings": {"randn_source": "CPU", "eta_noise_seed_delta": 31337},
         "sampler_name": "Euler a"},
    ),
    "emphasis": (
        {"override_settings": {"emphasis": "Ignore"}},
        {"override_settings": {"emphasis": "No norm"}},
    ),
    "sigmas": (
        {"override_settings": {"sigma_max": 5.0, "rho": 3.0}, "scheduler": "Karras"},
        {"override_settings": {"use_old_karras_scheduler_sigmas": True}, "scheduler": "Karras"},
    ),
    "noise schedule": (
        {"override_settings": {"sd_noise_schedule": "Zero Terminal SNR"}},
        {"override_settings": {"use_downcasted_alpha_bar": True}, "sampler_name": "DDIM"},
    ),
    "sampler": (
        {"sampler_name": "DPM++ SDE", "override_settings": {"no_dpmpp_sde_batch_determinism": True},
         "batch_size": 2},
        {"sampler_name": "UniPC", "override_settings": {"uni_pc_variant": "bh2"}},
    ),
    "tiling": ({"tiling": True}, {}),
    "clip skip and format": (
        {"override_settings": {"CLIP_stop_at_last_layers": 2, "samples_format": "webp"}},
        {"override_settings": {"CLIP_stop_at_last_layers": 1, "enable_pnginfo": False}},
    ),
}  # fmt: skip


#: The same, with the recorded checkpoint: the starter attends at no full resolution.
RECORDED_PAIRS = {
    "checkpoint": ({"override_settings": TINY}, {}),
    "token merging": (
        {"override_settings": {**TINY, "token_merging_ratio": 0.5}},
        {"override_settings": TINY},
    ),
    "VAE": (
        {"override_settings": {**TINY, "sd_vae": "othervae.safetensors"}},
        {"override_settings": TINY},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_requests_at_once_are_each_what_they_are_alone(port: int, name: str) -> None:
    """No request's override_settings are seen by another (A1111's may outlive their request)."""
    compare_with_lone_runs(port, PAIRS[name])


@pytest.mark.parametrize("name", RECORDED_PAIRS)
def test_so_are_two_on_the_recorded_checkpoint(port: int, name: str, shared: Path) -> None:
    """Each of another checkpoint, VAE, or arithmetic inside the network they share."""
    compare_with_lone_runs(port, RECORDED_PAIRS[name])


def compare_with_lone_runs(port: int, pair: Sequence[Mapping[str, Any]]) -> None:
    requests = [wanted(**fields) for fields in pair]
    alone = [ask(port, request) for request in requests]
    assert ask_at_once(port, requests) == alone
    # Or the test would prove nothing: the pixels differ, not just the infotext.
    assert_differ(*(Image.open(BytesIO(b64decode(images[0]))) for images, _ in alone))


@settings(max_examples=5, deadline=None)
@given(
    sampler=st.sampled_from([each.name for each in SAMPLERS if each.name != "DPM adaptive"]),
    scheduler=st.sampled_from([each.label for each in SCHEDULERS]),
    size=st.tuples(st.sampled_from([64, 72, 96]), st.sampled_from([64, 80])),
    seed=st.integers(0, 2**32 - 5),
    count=st.integers(2, 4),
    source=st.sampled_from(["CPU", "NV"]),
)
def test_a_batch_is_its_single_pictures(
    port: int,
    sampler: str,
    scheduler: str,
    size: tuple[int, int],
    seed: int,
    count: int,
    source: str,
) -> None:
    """Within 1/255: matrices of another shape may be multiplied in another order.

    Spec sampling.md 1.6, which excepts DPM adaptive. Exact with a toy network: test_batches.py.
    """
    width, height = size
    fields = {"sampler_name": sampler, "scheduler": scheduler, "width": width, "height": height}
    overrides = {"randn_source": source}
    request = wanted(**fields, steps=4, override_settings=overrides)
    batch, _ = ask(port, {**request, "seed": seed, "batch_size": count})
    for index in range(count):
        (alone,), _ = ask(port, {**request, "seed": seed + index})
        _, off = compare(b64decode(batch[index]), b64decode(alone))
        assert off <= 1


def test_a_job_begun_and_ended_within_another_disturbs_neither(port: int) -> None:
    """That the two overlap is seen here: the second is done before the first."""
    long = wanted(steps=80, override_settings={"CLIP_stop_at_last_layers": 2, "rho": 5.0})
    short = wanted(steps=3, tiling=True, sampler_name="DPM++ SDE")
    alone = [ask(port, long), ask(port, short)]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, port, long)
        client = Client(port)
        while client.ask("GET", "/sdapi/v1/progress").json()["state"]["sampling_step"] < 1:
            assert not first.done()
        second = ask(port, short)
        assert not first.done()
        client.close()
        assert [first.result(), second] == alone
