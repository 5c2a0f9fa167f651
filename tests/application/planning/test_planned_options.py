"""Options that a plan carries to whoever computes."""

import pytest

from hexfusion.application.planning import ModelChoice, plan_txt2img
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import Options
from hexfusion.domain.plan import Pass
from tests.application.worlds import TINY

REQUEST = Txt2Img(
    prompt="a cat",
    width=64,
    height=64,
    enable_hr=True,
    hr_upscaler="Latent",
    denoising_strength=0.5,
)


def passes(**options: object) -> tuple[Pass, ...]:
    """Both passes of a job under these options."""
    plan = plan_txt2img(REQUEST, Options(options), ModelChoice(checkpoint=TINY), (), lambda: 1)
    return plan.first.passes


@pytest.mark.parametrize("wanted", [False, True])
def test_attention_is_widened_in_both_passes(wanted: bool) -> None:
    """Spec api.md 17.1: `upcast_attn`."""
    made = passes(upcast_attn=wanted)
    assert [each.tweaks.upcast_attention for each in made] == [wanted, wanted]


@pytest.mark.parametrize("wanted", [False, True])
def test_encodings_are_kept_unless_the_option_says_otherwise(wanted: bool) -> None:
    """Spec prompts.md 5.7: `persistent_cond_cache`, true by default."""
    assert [each.text.keep for each in passes(persistent_cond_cache=wanted)] == [wanted, wanted]
    assert all(each.text.keep for each in passes())
