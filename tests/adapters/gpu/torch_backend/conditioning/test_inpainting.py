"""UNets that see more than the latent: inpainting (9 channels) and editing (8).

Source: spec images.md 6, sampling.md 5.1 and 6.6. The networks are small, their weights random.
"""

from pathlib import Path

import msgspec
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import (  # noqa: E402
    EditedPicture,
    MaskedPicture,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.inpainting import (  # noqa: E402
    grey_pictures,
    masked_pictures,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.precision import FULL  # noqa: E402
from hexfusion.application.ports.inference import Sources  # noqa: E402
from hexfusion.domain.checkpoints import Checkpoint  # noqa: E402
from hexfusion.domain.errors import InvalidRequest  # noqa: E402
from hexfusion.domain.prompts import positive_parts  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout  # noqa: E402
from tests.contracts.inference import (  # noqa: E402
    Witness,
    from_picture,
    guided,
    made_from,
    pixels,
    plan,
    render,
    sources,
    with_hires,
)
from tests.sight import assert_differ, assert_mixing_would_show  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def backend():
    return TorchInference(torch.device("cpu"), FULL)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    found = {}
    for channels in (8, 9):
        tensors = random_tensors(sd1_layout(**SMALL, in_channels=channels), seed=channels)
        path = folder / f"{channels}.safetensors"
        save_file(tensors, path)
        found[channels] = Checkpoint(name=path.name, filename=str(path))
    return found


def half() -> Image.Image:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    return mask


def test_they_are_recognised(made):
    """Spec networks.md 1.4."""
    loaded = [load_checkpoint(Path(made[channels].filename)) for channels in (8, 9)]
    assert [type(each.image_input) for each in loaded] == [EditedPicture, MaskedPicture]
    assert [each.family.name for each in loaded] == ["SD1 instruct-pix2pix", "SD1 inpainting"]


def test_what_is_masked_is_greyed_out():
    red = Image.new("RGB", (64, 64), "red")
    (picture,), share = masked_pictures([red], half(), weight=1.0, rounded=True)
    assert share[0, 0] == 1 and share[0, 63] == 0
    assert picture[5, 5].tolist() == [0.5, 0.5, 0.5]
    assert picture[5, 60].tolist() == [1.0, 0.0, 0.0]
    (picture,), _ = masked_pictures([red], half(), weight=0.5, rounded=True)
    assert picture[5, 5].tolist() == [0.75, 0.25, 0.25]
    (picture,), share = masked_pictures([red], None, weight=1.0, rounded=True)
    assert torch.equal(picture, grey_pictures(1, 64, 64)[0])
    assert share.min() == 1


def test_txt2img_and_hires_fix_work_with_a_checkpoint_that_inpaints(backend, made):
    """Spec sampling.md 6.6: it is shown grey, and infotext tells of it."""
    rendered = backend.render(with_hires(plan(made[9], seeds=(1, 2))), Witness())
    assert [each.size for each in rendered.pictures] == [(120, 120)] * 2
    assert rendered.facts == {"Conditional mask weight": 1.0}


def test_an_inpainting_checkpoint_sees_what_the_mask_leaves(backend, made):
    """At full strength nothing of the picture is in the latent: it is seen beside it alone."""
    wanted = from_picture(plan(made[9], steps=2), strength=1.0, content="nothing")
    masks = [half(), half().transpose(Image.Transpose.ROTATE_90), Image.new("L", (64, 64), 255)]
    pictures = [made_from(backend, wanted, sources(mask=mask)) for mask in masks]
    assert_mixing_would_show(*(each[0] for each in pictures))
    lighter = msgspec.structs.replace(wanted, mask_weight=0.5)
    rendered = backend.render(lighter, Witness(), sources(mask=half()))
    assert rendered.facts == {"Conditional mask weight": 0.5}
    assert_differ(rendered.pictures[0], pictures[0][0])


@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "DDIM CFG++"])
def test_a_checkpoint_that_edits_is_guided_by_picture_and_text(backend, made, sampler):
    """Spec sampling.md 5.1: at 1 it is ordinary guidance."""
    base = from_picture(plan(made[8], seeds=(1, 2), sampler=sampler, steps=4))
    pair = Sources([Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")])

    def scaled(scale):
        init = msgspec.structs.replace(base.init, image_cfg_scale=scale)
        return msgspec.structs.replace(base, init=init)

    plain, one, more = (backend.render(scaled(each), Witness(), pair) for each in (None, 1.0, 4.0))
    assert pixels(plain.pictures) == pixels(one.pictures)
    for scaled_more, plainly in zip(more.pictures, one.pictures, strict=True):
        assert_mixing_would_show(scaled_more, plainly)
    assert (plain.facts, more.facts) == ({}, {"Image CFG scale": 4.0})


def test_the_three_predictions_are_put_together_by_the_formula(backend, made):
    """With both scales 1, but for a hair, the prediction with text and picture alone counts."""
    base = from_picture(plan(made[8], steps=2))
    init = msgspec.structs.replace(base.init, image_cfg_scale=1.0 + 1e-9)
    nearly = guided(base, 1.0, init=init)
    exactly = guided(base, 1.0)
    (one,), (other,) = (made_from(backend, each, sources()) for each in (nearly, exactly))
    assert max(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)) <= 1


def test_and_does_not_go_with_it(backend, made):
    base = from_picture(plan(made[8], prompts=("red",)))
    text = msgspec.structs.replace(base.text, positive=(positive_parts("red AND blue", 3),))
    init = msgspec.structs.replace(base.init, image_cfg_scale=1.5)
    with pytest.raises(InvalidRequest, match="AND"):
        made_from(backend, msgspec.structs.replace(base, text=text, init=init), sources())


def test_txt2img_with_a_checkpoint_that_edits(backend, made):
    assert len(render(backend, plan(made[8]))) == 1
