"""Recorded pictures through the whole house. All of them: benchmarks/fidelity.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from falcon.testing import TestClient

from benchmarks import fidelity
from benchmarks.recordings import Recording, read
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS

pytestmark = pytest.mark.torch

#: Every sampler with its own schedule, every schedule once, and what else decides about noise.
#: DPM adaptive accepts a step or not by a last bit: benchmarks/last_bit.py.
CASES = (
    *(
        f"samplers/{each.name.replace('+', 'p').replace(' ', '_')}"
        for each in SAMPLERS[:20]
        if each.name != "DPM adaptive"
    ),
    *(f"schedulers/Euler__{each.name}" for each in SCHEDULERS if each.name != "karras"),
    "schedulers/DPMpp_2M__karras",  # which was not recorded with Euler
    "options/rng_nv_DPMpp_SDE",
    "options/ensd",
    "options/zsnr",
    "fields/subseed_batch2",
    "prompts/and3",
    "prompts/lora_te_unet",
    "prompts/ti",
    "prompts/ti2",
    "prompts/ti_neg",
    "rest/for_pnginfo_hr",  # a LoRA and an embedding in the first pass alone
    # One of each thing that a job may ask for besides.
    "hires/up_Latent",
    "hires/resize_xy",
    "hires/resize_y",  # Lanczos, so decoded and encoded between the passes
    "hires/hr_prompt",
    "options/vae",
    "options/tome",
    "options/old_emph",
    "options/pad_v0",
    "fields/tiling",
    "fields/infotext_min",
    "formats/t2i_webp",
    # From pictures: the ways they are brought to size, masked and put back.
    "img2img/two_init_batch3",
    "img2img/resize1_tall",
    "img2img/resize3_mask",
    "img2img/fr_true_p32",
    "img2img/fill2",
    "img2img/mask_ddim",
    "img2img/softmask_noround",
    "img2img/fix_steps",
    "img2img/extra_noise",
    "img2img/w100",
)


@pytest.fixture(scope="module")
def client(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    scratch = tmp_path_factory.mktemp("data")
    return fidelity.client_of(shared / "golden/data", scratch, "--threads", "1")


@pytest.fixture
def recording(request: pytest.FixtureRequest, shared: Path) -> Iterator[Recording]:
    (found,) = read(shared / "golden" / f"{request.param}.json", shared / "golden")
    assert isinstance(found, Recording)
    yield found


@pytest.mark.parametrize("recording", CASES, indirect=True)
def test_the_recorded_picture_and_infotext(client: TestClient, recording: Recording) -> None:
    """Spec sampling.md 1 to 5, prompts.md 8; the bar is golden/README.md's 2/255."""
    made = fidelity.replay(client, recording)
    assert made.agrees, made


@pytest.mark.slow
def test_every_recorded_txt2img(shared: Path) -> None:
    """What misses is explained by name."""
    assert fidelity.main(["--recordings", str(shared / "golden"), "--threads", "1"]) == 0
