"""Prompts and seeds by picture (spec sampling.md 1.4, prompts.md 0), on the fake backend."""

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.picture_lists import PictureLists
from hexfusion.domain.prompts import Style
from tests.application.worlds import world

LISTS = PictureLists(
    prompts=("a cat", "a dog", "a fish", "a bird"),
    negative_prompts=("dark", "", "blurry", "dark"),
    seeds=(5, 5, 9, 1),
    subseeds=(0, 1, 2, 3),
)


def small(**fields) -> Txt2Img:
    return Txt2Img(**{"steps": 2, "width": 64, "height": 64, **fields})


def test_each_picture_is_the_one_its_own_prompt_and_seed_make():
    together = world().txt2img(small(batch_size=2, n_iter=2), lists=LISTS)
    assert LISTS.prompts and LISTS.negative_prompts and LISTS.seeds
    alone = [
        world().txt2img(small(prompt=prompt, negative_prompt=negative, seed=seed)).pictures[0]
        for prompt, negative, seed in zip(
            LISTS.prompts, LISTS.negative_prompts, LISTS.seeds, strict=True
        )
    ]
    for picture, lone in zip(together.pictures, alone, strict=True):
        assert picture.image.tobytes() == lone.image.tobytes()
        assert picture.infotext == lone.infotext


def test_info_lists_them():
    """Spec api.md 9."""
    info = world().txt2img(small(batch_size=2, n_iter=2), lists=LISTS).info
    assert info.all_prompts == list(LISTS.prompts or ())
    assert info.all_negative_prompts == list(LISTS.negative_prompts or ())
    assert (info.all_seeds, info.all_subseeds) == ([5, 5, 9, 1], [0, 1, 2, 3])
    assert (info.prompt, info.seed) == ("a cat", 5)


def test_styles_reach_every_prompt():
    """Spec prompts.md 4.3."""
    lists = PictureLists(prompts=("a cat", "a dog"))
    it = world(styles=[Style(name="oil", prompt="oil painting of {prompt}", negative_prompt="")])
    info = it.txt2img(small(batch_size=2, styles=["oil"]), lists=lists).info
    assert info.all_prompts == ["oil painting of a cat", "oil painting of a dog"]


def test_hires_prompts_follow_the_pictures_own():
    """Spec prompts.md 8.2: `Hires prompt` where it is not the picture's own."""
    lists = PictureLists(prompts=("a cat", "a dog"))
    request = small(batch_size=2, enable_hr=True, denoising_strength=0.5, hr_prompt="a dog")
    first, second = world().txt2img(request, lists=lists).pictures
    assert "Hires prompt: a dog" in first.infotext
    assert "Hires prompt" not in second.infotext


@pytest.mark.parametrize("field", ["prompts", "negative_prompts", "seeds", "subseeds"])
def test_a_list_of_another_length_is_named(field):
    lists = PictureLists(**{field: getattr(LISTS, field)})
    with pytest.raises(InvalidRequest) as caught:
        world().txt2img(small(batch_size=2), lists=lists)
    assert caught.value.field == field
