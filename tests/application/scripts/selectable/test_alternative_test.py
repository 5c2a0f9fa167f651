"""img2img alternative test (spec scripts.md 12), on the fake backend.

Its answer: tests/test_script_recordings."""

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.domain.errors import InvalidRequest
from tests.application.scripts.scripted import PICTURE, made, of_picture
from tests.application.worlds import world


def alternative(euler=True, prompt=True, steps=True, strength=True, original="a dog", **fields):
    given = ["", euler, prompt, original, "ugly", steps, 6, strength, 1.5, 0.25, True]
    plain = {"sampler_name": "LMS", "negative_prompt": "blurry", "denoising_strength": 0.5}
    return of_picture("img2img alternative test", *given, **{**plain, **fields})


class Watching(FakeInference):
    def render(self, plan, observer, sources=None):
        self.plan = plan
        return super().render(plan, observer, sources)


def test_what_describes_the_picture_takes_the_requests_place():
    text = made(alternative()).info.infotexts[0]
    assert text.startswith("a dog\nNegative prompt: ugly\nSteps: 6, Sampler: Euler, ")
    assert "Denoising strength: 1.0, " in text
    assert (
        "Decode prompt: a dog, Decode negative prompt: ugly, Decode CFG scale: 1.5, "
        "Decode steps: 6, Randomness: 0.25, Sigma Adjustment: True, " in text
    )


def test_or_does_not():
    text = made(alternative(False, False, False, False)).info.infotexts[0]
    assert text.startswith("a cat\nNegative prompt: blurry\nSteps: 2, Sampler: LMS, ")
    assert "Denoising strength: 0.5, " in text


def test_the_plan_says_how_noise_is_looked_for():
    backend = Watching()
    made(alternative(prompt=False, batch_size=2), world(backend))
    how = backend.plan.init.inversion
    assert (how.steps, how.cfg_scale, how.randomness, how.adjust_sigma) == (6, 1.5, 0.25, True)
    texts = {step.text for parts in how.text.positive for part in parts for step in part.schedule}
    assert (len(how.text.positive), texts) == (2, {"a dog"})
    plain = of_picture("", script_name=None)
    world(backend).img2img(plain, InitPictures([PICTURE]))
    assert backend.plan.init.inversion is None


def test_what_is_wrong_is_told_before_any_work():
    for request in (alternative(original="(cat:1.2.3)"), alternative(original=None)):
        with pytest.raises(InvalidRequest) as refused:
            world().img2img.prepare(request, InitPictures([PICTURE]))
        assert refused.value.field in ("script_args", "prompt")
