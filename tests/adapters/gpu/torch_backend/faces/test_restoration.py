"""Faces cut out and put back (spec images.md 11, steps 3 to 6)."""

import numpy as np
import pytest
import torch
from PIL import Image

from hexfusion.adapters.gpu.torch_backend.faces.alignment import Similarity
from hexfusion.adapters.gpu.torch_backend.faces.restoration import (
    Patch,
    extract_face,
    face_share,
    paste_faces,
    restored_face,
)
from tests.adapters.gpu.torch_backend.faces.files import dim

pytestmark = pytest.mark.torch

SKIN, HAIR = 1, 17


def upright(size: float, left: float, top: float) -> Similarity:
    """From a picture to a face that takes a square of that size there."""
    return Similarity(complex(512 / size), complex(-left, -top) * 512 / size)


def classes(at: int, elsewhere: int = 0):
    """A parser: one class in the middle, another around it."""

    def parse(pixels: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(1, 19, 512, 512)
        logits[:, elsewhere] = 1
        logits[:, at, 128:384, 128:384] = 2
        return logits

    return parse


def slopes() -> Image.Image:
    """A picture without edges."""
    bands = [
        Image.radial_gradient("L").resize((200, 160)),
        Image.linear_gradient("L").resize((200, 160)),
    ]
    return Image.merge("RGB", [*bands, bands[0]])


def same(pixels: torch.Tensor) -> torch.Tensor:
    return pixels


@pytest.mark.parametrize(
    "way",
    [upright(60, 31.3, 12.8), upright(130, 31.3, 12.8), upright(512, -99.6, -31.7),
     Similarity(complex(3.1, 1.2), complex(-150, -230))],
)  # fmt: skip
def test_what_is_not_changed_comes_back_as_it_was(way: Similarity):
    """A face that a network leaves alone is resampled twice, and truncated. Where it reaches beyond
    the picture, the outermost pixels take something from the grey there."""
    picture = np.array(slopes())
    face = extract_face(picture, way)
    patch = Patch(restored_face(face, same), face_share(face, classes(SKIN, SKIN)), way)
    off = np.abs(paste_faces(picture, [patch]).astype(int) - picture)[2:-2, 2:-2]
    assert off.any()
    assert off.max() <= 4
    assert off.mean() < 0.7


def test_outside_the_mask_no_byte_changes():
    picture = np.array(dim(200, 160))
    way = upright(100, 40, 30)
    black = np.zeros((512, 512, 3), np.uint8)
    made = paste_faces(picture, [Patch(black, face_share(black, classes(SKIN)), way)])
    changed = np.argwhere((made != picture).any(2))
    # The middle half of the square, and twice 50 pixels of 512 of blur around it.
    margin = 100 / 5.12 + 1
    low, high = np.array([30 + 25, 40 + 25]) - margin, np.array([30 + 75, 40 + 75]) + margin
    assert (changed >= low).all() and (changed <= high).all()
    assert made[80, 90].max() == 0  # the middle is all the face's


def test_hair_and_ground_and_clothes_stay():
    """Of 19 classes 0, 14, 16, 17 and 18 are not of the face."""
    face = np.zeros((512, 512, 3), np.uint8)
    seen = [at for at in range(19) if face_share(face, classes(at, elsewhere=0)).any()]
    assert seen == [*range(1, 14), 15]


def test_the_rim_of_a_face_is_never_put_back():
    """10 pixels of 512, even of a face that fills all."""
    share = face_share(np.zeros((512, 512, 3), np.uint8), classes(SKIN, SKIN))
    assert not share[:10].any() and not share[-10:].any()
    assert not share[:, :10].any() and not share[:, -10:].any()
    assert share[10:-10, 10:-10].min() == pytest.approx(1)


def test_beyond_the_picture_the_face_is_grey():
    """A1111's border, red, green, blue."""
    face = extract_face(np.zeros((8, 8, 3), np.uint8), upright(32, -12, -12))
    assert face[0, 0].tolist() == [132, 133, 135]
    assert face[256, 256].tolist() == [0, 0, 0]


def test_networks_see_minus_one_to_one_and_are_cut_off_there():
    levels = np.arange(512 * 512 * 3, dtype=np.uint32).reshape(512, 512, 3).astype(np.uint8)
    seen = []

    def restore(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels)
        return pixels * 1.5

    made = restored_face(levels, restore)
    assert (seen[0].shape, seen[0].min(), seen[0].max()) == ((1, 3, 512, 512), -1, 1)
    wanted = np.clip((levels / 255 - 0.5) / 0.5 * 1.5, -1, 1)
    assert np.abs(made - np.floor((wanted + 1) / 2 * 255)).max() <= 1
    assert seen[0][0, 0, 0, 0] == -1  # red first
    back = restored_face(levels, same)
    assert np.abs(back.astype(int) - levels).max() <= 1  # truncated: 1 below at most


def test_faces_that_overlap_lie_one_over_the_other():
    picture = np.array(Image.new("RGB", (100, 60), (90, 90, 90)))
    whole = np.ones((512, 512))
    red, blue = (np.full((512, 512, 3), each, np.uint8) for each in ((200, 0, 0), (0, 0, 200)))
    patches = [Patch(red, whole, upright(40, 10, 10)), Patch(blue, whole, upright(40, 30, 10))]
    made = paste_faces(picture, patches)
    assert made[30, 20].tolist() == [200, 0, 0]
    assert made[30, 40].tolist() == [0, 0, 200]
    assert made[30, 90].tolist() == [90, 90, 90]


def test_a_face_that_lies_outside_changes_nothing():
    picture = np.array(dim(64, 64))
    patch = Patch(np.zeros((512, 512, 3), np.uint8), np.ones((512, 512)), upright(20, 500, 500))
    assert paste_faces(picture, [patch]) is picture
