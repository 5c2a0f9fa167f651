"""Who makes latents of pictures and pictures of latents, and how jobs are shown under way (spec
images.md 14, prompts.md 8.2)."""

import pytest
from PIL import Image

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.describing.extra_parameters import vae_facts
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.domain.errors import OptionError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.plan import Plan, PreviewPlan
from tests.application.worlds import world

SMALL = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 1}


class Seen(FakeInference):
    """Remembers the plans it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []

    def render(self, plan, observer, sources=None):
        self.plans.append(plan)
        return super().render(plan, observer, sources)


def txt2img(settings, **fields) -> tuple[Plan, str]:
    """The plan of a request, and its infotext."""
    seen = Seen()
    made = world(seen).txt2img(Txt2Img(**SMALL, override_settings=settings, **fields))
    return seen.plans[0], made.pictures[0].infotext


def test_the_vae_is_not_mentioned():
    plan, infotext = txt2img({})
    assert (plan.encode_method, plan.decode_method) == ("Full", "Full")
    assert "VAE" not in infotext


def test_a_decoder_is_named_behind_everything():
    plan, infotext = txt2img({"sd_vae_decode_method": "TAESD", "s_noise": 0.5})
    assert plan.decode_method == "TAESD"
    assert "VAE Decoder: TAESD, Version" in infotext


def test_an_encoder_counts_where_there_is_something_to_encode():
    assert "VAE Encoder" not in txt2img({"sd_vae_encode_method": "TAESD"})[1]
    for upscaler, encodes in (("Latent", False), ("Lanczos", True)):
        fields = {"enable_hr": True, "denoising_strength": 0.5, "hr_upscaler": upscaler}
        plan, infotext = txt2img({"sd_vae_encode_method": "TAESD"}, **fields)
        assert ("VAE Encoder: TAESD" in infotext) == encodes
        assert (vae_facts(plan) == {"VAE Encoder": "TAESD"}) == encodes


def test_img2img_names_it_behind_what_it_says_of_masks():
    """Spec prompts.md 8.2: before the noise multiplier."""
    request = Img2Img(
        **SMALL,
        initial_noise_multiplier=0.9,
        override_settings={"sd_vae_encode_method": "TAESD"},
    )
    picture, mask = Image.new("RGB", (64, 64)), Image.new("L", (64, 64), 255)
    for given in (None, mask):
        infotext = world().img2img(request, InitPictures((picture,), given)).pictures[0].infotext
        assert "VAE Encoder: TAESD, " in infotext
        assert infotext.index("VAE Encoder") < infotext.index("Noise multiplier")
        assert given is None or infotext.index("Mask") < infotext.index("VAE Encoder")


@pytest.mark.parametrize("key", ["sd_vae_encode_method", "sd_vae_decode_method"])
def test_a_method_that_there_is_not_is_named(key):
    with pytest.raises(OptionError, match=f"{key}: must be one of: Full, TAESD; not 'tiny'"):
        txt2img({key: "tiny"})


def test_the_options_say_how_a_job_is_shown():
    plan, _ = txt2img(
        {
            "show_progress_type": "TAESD",
            "show_progress_grid": False,
            "live_preview_content": "Negative prompt",
            "live_preview_allow_lowvram_full": True,
            "live_preview_fast_interrupt": True,
        }
    )
    assert plan.preview == PreviewPlan(
        method="TAESD",
        grid=False,
        content="Negative prompt",
        full_in_low_memory=True,
        fast_interrupt=True,
    )
    assert txt2img({})[0].preview == PreviewPlan(method="Approx NN")


def test_what_is_no_choice_is_shown_as_a1111_does():
    """Its tables fall to their last entry: a preview is not worth an error."""
    plan, _ = txt2img({"show_progress_type": "nope", "live_preview_content": "nope"})
    assert (plan.preview.method, plan.preview.content) == ("Full", "Combined")
