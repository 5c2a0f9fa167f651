"""The captioner that ships: what it says of the starter's world, and of other pictures."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.captions import foreign, rendered, truth
from hexfusion.adapters.gpu.torch_backend.interrogate.picture_book import load_picture_book, look
from hexfusion.adapters.storage.starter import starter_captioner
from hexfusion.domain.interrogation.starter_captions import UNKNOWN, caption_scene
from tools.starter.world import Picture, Thing, render

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def say():
    book = load_picture_book(starter_captioner(), "the starter's captioner")
    return lambda image: caption_scene(look(book, image))


def test_it_is_small():
    assert len(starter_captioner()) < 2_000_000


def test_it_tells_what_is_on_pictures_of_the_world(say):
    """Half of them show what no training has; `benchmarks.captions` does it over the server."""
    told = []
    for _, side, picture, rng in rendered(70):
        if side <= 512:
            told.append((truth(picture), say(render(picture, side, rng))))
    wrong = [pair for pair in told if pair[0] != pair[1]]
    assert len(wrong) <= 0.05 * len(told), wrong


@pytest.mark.parametrize("size", [(64, 64), (1024, 1024), (256, 320), (512, 384)])
def test_sizes_and_shapes(say, size):
    picture = Picture("blue", (Thing("circle", "red"),))
    image = render(picture, 512, np.random.default_rng(1)).resize(size)
    assert say(image) == "a red circle on a blue background"


def test_left_and_right(say):
    things = Thing("heart", "red", 0.26, 0.5, 0.42), Thing("star", "yellow", 0.74, 0.5, 0.42)
    image = render(Picture("white", things), 256, np.random.default_rng(1))
    assert say(image) == "a red heart left of a yellow star on a white background"
    turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert say(turned) == "a yellow star left of a red heart on a white background"


def test_it_says_when_it_does_not_know(say):
    said = [say(image) for image in foreign(12)]
    assert said.count(UNKNOWN) >= 0.8 * len(said), said
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert say(Image.fromarray(noise)) == UNKNOWN
