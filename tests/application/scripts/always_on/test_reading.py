"""Always-on scripts: their arguments, and what they do with them.

Source: spec api.md 8 and 10, scripts.md 2, 3 and 14.
"""

from typing import Annotated

import msgspec
import pytest
from PIL import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.planning import JobPlan, ModelChoice, plan_txt2img
from hexfusion.application.scripts.always_on.reading import read_always_on
from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.always_on.script import AlwaysOn, Asked, Effect
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import infotext_of
from hexfusion.domain.scripts.arguments import Arguments, Slider, Switch
from hexfusion.domain.scripts.soft_inpainting import SoftInpainting
from tests.application.worlds import TINY, world

PICTURE, MASK = Image.new("RGB", (64, 64), "red"), Image.linear_gradient("L").resize((64, 64))


def asked_for(scripts, *, masked=True, **fields):
    """The settings of soft inpainting that a request has; None where it is off."""
    request = Img2Img(alwayson_scripts=scripts, **fields)
    given = read_always_on(request, SCRIPTS, Options())
    values = [value for _, value in given.effects(Asked(request, Options(), masked)).active]
    return next((each for each in values if isinstance(each, SoftInpainting)), None)


def test_soft_inpainting_is_off_unless_its_first_argument_is_true():
    assert asked_for({}) is None
    assert asked_for({"Soft Inpainting": {}}) is None
    assert asked_for({"Soft Inpainting": {"args": None}}) is None
    assert asked_for({"Soft Inpainting": {"args": [False, 2]}}) is None
    assert asked_for({"Hypertile": {"args": [True]}}) is None
    assert asked_for({"Soft Inpainting": {"args": [True]}}, masked=False) is None


def test_missing_arguments_keep_their_defaults_and_surplus_ones_are_dropped():
    assert asked_for({"soft inpainting": {"args": [True]}}) == SoftInpainting(enabled=True)
    asked = asked_for({"Soft inpainting": {"args": [True, 2, 0.25, 8, 0.5, 1, 3, "more"]}})
    assert asked == SoftInpainting(
        enabled=True, power=2, scale=0.25, detail=8, mask_influence=0.5, threshold=1, contrast=3
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"args": [True, "2"]}, r"\[1\] Schedule bias must be a number, not '2'"),
        ({"args": [True, 9]}, r"\[1\] Schedule bias must be from 0 to 8, not 9"),
        ({"args": [True, 1, 0.5, 0]}, r"\[3\] Transition contrast boost must be from 1 to 32"),
        ({"args": ["yes"]}, r"\[0\] Soft inpainting must be true or false"),
        ({"args": "True"}, "args must be a list"),
        ({"args": 5}, "args must be a list"),
        ({"args": {"Schedule bias": 2}}, "args must be a list"),
        ([True, 2], "must be an object with args"),
        (None, "must be an object with args"),
    ],
)
@pytest.mark.parametrize("masked", [True, False])
def test_what_is_no_argument_is_refused(sent, said, masked):
    with pytest.raises(InvalidRequest, match=f"Soft Inpainting: {said}") as refused:
        asked_for({"Soft inpainting": sent}, masked=masked)
    assert refused.value.field == "alwayson_scripts"


@pytest.mark.parametrize("sent", ["x", {"args": "x"}, {"args": ["x", None]}, None])
@pytest.mark.parametrize(
    "title", ["Refiner", "sampler", "SEED", "Extra options", "Hypertile", "Comments"]
)
def test_what_is_sent_to_parts_of_the_form_is_not_looked_at(title, sent):
    """Recordings errors/alwayson_str and alwayson_badargs."""
    for kind in (Txt2Img, Img2Img):
        read_always_on(kind(alwayson_scripts={title: sent}), SCRIPTS, Options())


@pytest.mark.parametrize(
    ("request_", "title"),
    [(Txt2Img, "soft inpainting"), (Txt2Img, "nope"), (Img2Img, "nope"), (Img2Img, "")],
)
def test_a_script_that_there_is_not_is_not_found(request_, title):
    with pytest.raises(NotFound, match=f"script {title!r}"):
        read_always_on(request_(alwayson_scripts={title: {}}), SCRIPTS, Options())


SOFT = (
    "a cat\nSteps: 4, Sampler: Euler, Size: 64x64, Soft inpainting enabled: True, "
    "Soft inpainting schedule bias: 2, Soft inpainting difference contrast: 3.5"
)


def test_what_infotext_tells_is_what_the_list_leaves_out():
    """Spec api.md 10, prompts.md 8.6: labels of scripts fill their arguments."""
    told = SoftInpainting(enabled=True, power=2, contrast=3.5)
    assert asked_for({}, infotext=SOFT) == told
    asked = asked_for({"soft inpainting": {"args": [True, 1.5]}}, infotext=SOFT)
    assert asked == msgspec.structs.replace(told, power=1.5)
    assert asked_for({"soft inpainting": {"args": [False]}}, infotext=SOFT) is None
    assert asked_for({}, infotext=SOFT.replace("enabled: True", "enabled: False")) is None


def test_a_value_that_infotext_cannot_mean_is_refused():
    with pytest.raises(InvalidRequest, match="Soft inpainting schedule bias: '9' is not") as no:
        asked_for({}, infotext=SOFT.replace("bias: 2", "bias: 9"))
    assert no.value.field == "infotext"


def soft_request(**fields):
    return Img2Img(prompt="a cat", steps=4, width=64, height=64, seed=1, **fields)


def test_a_soft_picture_is_made_again_from_its_infotext():
    """Also by a script that generates more than once, whose generations carry no infotext."""
    start = InitPictures((PICTURE,), MASK)
    arguments = [True, 2, 0.25, 8, 0.5, 1, 3]
    scripts = {"Soft Inpainting": {"args": arguments}}
    first = world().img2img(soft_request(alwayson_scripts=scripts), start)
    (text,) = first.info.infotexts
    assert "Soft inpainting enabled: True, Soft inpainting schedule bias: 2," in text
    again = world().img2img(soft_request(infotext=text), start)
    assert again.info.infotexts == [text]
    assert again.request.alwayson_scripts == {}
    made, remade = (each.pictures[0].image.tobytes() for each in (first, again))
    assert made == remade
    other = world().img2img(soft_request(), start).pictures[0].image.tobytes()
    assert made != other
    loop = {"script_name": "Loopback", "script_args": [1, 0.75, "Linear", "None"]}
    looped = world().img2img(soft_request(infotext=text, **loop), start)
    assert "Soft inpainting schedule bias: 2," in looped.info.infotexts[0]


def test_defaults_are_told_as_they_are_listed():
    """Spec scripts.md 14: 1, 4 and 2, whole numbers."""
    request = soft_request(alwayson_scripts={"Soft Inpainting": {"args": [True]}})
    (text,) = world().img2img(request, InitPictures((PICTURE,), MASK)).info.infotexts
    for told in ("schedule bias: 1,", "contrast boost: 4,", "influence: 0,", "contrast: 2,"):
        assert told in text


class Louder(Arguments, frozen=True):
    on: Annotated[bool, Switch("Louder", infotext="Louder")] = False
    by: Annotated[float, Slider("By", 0, 4, 0.5, infotext="Louder by")] = 2


class Adding(Effect[Louder]):
    def read(self, arguments: Louder, asked: Asked) -> Louder | None:
        return arguments if arguments.on else None

    def plan(self, value: Louder, plan: JobPlan) -> JobPlan:
        return with_scale(plan, scale_of(plan) + value.by)

    def extra(self, value: Louder, plan: JobPlan):
        return {**infotext_of(value), "Louder in the end": scale_of(plan)}


class Doubling(Adding):
    def plan(self, value: Louder, plan: JobPlan) -> JobPlan:
        return with_scale(plan, scale_of(plan) * 2)


def scale_of(plan: JobPlan) -> float:
    return plan.sampling.cfg_scale


def with_scale(plan: JobPlan, scale: float) -> JobPlan:
    sampling = msgspec.structs.replace(plan.sampling, cfg_scale=scale)
    return plan.each(lambda each: msgspec.structs.replace(each, sampling=sampling))


def test_scripts_take_effect_in_their_order():
    """And infotext tells of the plan as it is in the end."""
    request = Txt2Img(
        width=64, height=64, steps=1, alwayson_scripts={"B": {"args": [1]}, "a": {"args": [1, 3]}}
    )
    scripts = (AlwaysOn("A", Louder, effect=Adding()), AlwaysOn("B", Louder, effect=Doubling()))
    given = read_always_on(request, scripts, Options())
    effects = given.effects(Asked(request, Options()))
    plan = effects.plan(planned(request))
    assert scale_of(plan) == (7 + 3) * 2
    assert effects.extra(plan) == {"Louder": True, "Louder by": 2, "Louder in the end": 20}
    backwards = read_always_on(request, scripts[::-1], Options())
    plan = backwards.effects(Asked(request, Options())).plan(planned(request))
    assert scale_of(plan) == 7 * 2 + 3
    silent = read_always_on(Txt2Img(), scripts, Options()).effects(Asked(request, Options()))
    assert silent.active == ()


def planned(request) -> JobPlan:
    return plan_txt2img(request, Options(), ModelChoice(checkpoint=TINY), (), lambda: 1)
