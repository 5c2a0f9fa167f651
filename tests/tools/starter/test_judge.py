"""The judge reads clean renders right and does not take blobs for objects."""

import numpy as np
from PIL import ImageFilter

from tools.starter.judge import held_out_prompts, judge, score
from tools.starter.world import Picture, Thing, held_out, render


def _clean(count: int):
    wanted = [triple for _, triple in held_out_prompts(count)]
    images = [
        render(Picture(ground, (Thing(kind, colour),)), 128, np.random.default_rng(k))
        for k, (kind, colour, ground) in enumerate(wanted)
    ]
    return images, wanted


def test_clean_renders_are_read_right():
    images, wanted = _clean(24)
    assert all(held_out(*triple) for triple in wanted)
    assert score(images, wanted)["all"] >= 0.95


def test_blobs_are_no_stars():
    image, _ = render(Picture("blue", (Thing("star", "red"),)), 128, np.random.default_rng(0)), None
    blob = image.filter(ImageFilter.GaussianBlur(16))
    assert judge(blob).kind != "star"


def test_empty_ground_has_no_object():
    verdict = judge(render(Picture("green"), 128, np.random.default_rng(0)))
    assert (verdict.ground, verdict.kind) == ("green", "none")
