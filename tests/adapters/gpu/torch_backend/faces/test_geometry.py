"""Alignment and resampling against OpenCV's own numbers (spec images.md 11, steps 1, 3 and 5), in
tests/golden/face_geometry.json."""

import cmath
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.adapters.gpu.torch_backend.faces.alignment import TEMPLATE, Similarity, alignment
from hexfusion.adapters.gpu.torch_backend.faces.resampling import (
    Area,
    blurred_mask,
    lanczos,
    mapped_area,
    warped,
)

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Mapping[str, Any]:
    return json.loads((golden / "face_geometry.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def picture(vectors: Mapping[str, Any]) -> np.ndarray:
    return np.array(vectors["picture"]["bytes"], np.uint8).reshape(9, 13, 3)


def similarity(matrix: list[list[float]]) -> Similarity:
    (a, _, x), (b, _, y) = matrix
    return Similarity(complex(a, b), complex(x, y))


def test_alignment_is_opencvs(vectors: Mapping[str, Any]):
    """Of 40 faces, straight and slanted, near and far, every third with a landmark far off."""
    for case in vectors["alignment"]:
        landmarks = [complex(*each) for each in case["landmarks"]]
        way, expected = alignment(landmarks), similarity(case["matrix"])
        assert way is not None
        for point in landmarks:
            assert abs(way(point) - expected(point)) < 0.01


places = st.complex_numbers(max_magnitude=1000, allow_nan=False)
turns = st.builds(cmath.rect, st.floats(0.02, 20), st.floats(-3.14, 3.14))


@given(turns, places)
def test_a_face_that_is_a_template_comes_back_exactly(turn: complex, shift: complex):
    """Whichever way it is turned, however large."""
    there = Similarity(turn, shift)
    way = alignment([there(point) for point in TEMPLATE])
    assert way is not None
    for point in TEMPLATE:
        assert abs(way(there(point)) - point) < 1e-6
        assert abs(there.inverse(there(point)) - point) < 1e-6


def test_one_landmark_that_is_wrong_is_not_believed():
    there = Similarity(cmath.rect(0.5, 0.3), 40 + 20j)
    for wrong in range(5):
        landmarks = [there(point) for point in TEMPLATE]
        landmarks[wrong] += 60 - 35j
        way = alignment(landmarks)
        assert way is not None and abs(way.turn - there.inverse.turn) < 1e-6, wrong


def test_no_two_landmarks_no_way():
    assert alignment([3 + 4j] * 5) is None
    assert alignment([complex("nan")] * 5) is None
    assert alignment([complex("inf"), *[1 + 1j] * 4]) is None
    mirrored = [point.conjugate() for point in TEMPLATE]
    assert alignment(mirrored) is not None  # poorly, as OpenCV does


def test_warping_is_opencvs(vectors: Mapping[str, Any], picture: np.ndarray):
    for case in vectors["warps"]:
        way = similarity(case["matrix"]).inverse
        whole = Area(0, 0, 16, 12)
        bytes_ = warped(picture, way, whole, (132, 133, 135))
        assert bytes_.ravel().tolist() == case["bytes"]
        shares = warped(picture[:, :, :1] / 255.0, way, whole, (0,))
        assert np.abs(shares.ravel() - case["shares"]).max() < 1e-8


def test_a_part_is_warped_as_the_whole_is(picture: np.ndarray):
    way = Similarity(cmath.rect(0.7, 0.4), 2 - 1j)
    whole = warped(picture, way, Area(-5, -5, 30, 25), (1, 2, 3))
    part = Area(4, 3, 11, 9)
    expected = part.seen_from(Area(-5, -5, 30, 25)).of(whole)
    assert np.array_equal(warped(picture, way, part, (1, 2, 3)), expected)
    beside = warped(picture, way, Area(500, 500, 503, 502), (1, 2, 3))
    assert (beside == (1, 2, 3)).all()


def test_reach_holds_all_that_is_seen(picture: np.ndarray):
    way = Similarity(cmath.rect(3.0, -0.8), 5 + 9j)
    area = mapped_area(way, Area(0, 0, 13, 9), margin=4)
    wider = Area(area.left - 20, area.top - 20, area.right + 20, area.bottom + 20)
    seen = warped(np.full_like(picture, 255), way.inverse, wider, (0, 0, 0))
    area.seen_from(wider).of(seen)[:] = 0
    assert not seen.any()


def test_lanczos_is_opencvs(vectors: Mapping[str, Any], picture: np.ndarray):
    for case in vectors["lanczos"]:
        width, height = case["size"]
        made = lanczos(picture, width, height)
        assert made.shape == (height, width, 3)
        assert made.ravel().tolist() == case["bytes"]


def test_softening_is_two_blurs_of_opencv(vectors: Mapping[str, Any]):
    mask = np.zeros((512, 512))
    mask[120:460, 90:400] = 255
    mask[:60, 200:260] = 255
    made = blurred_mask(mask)
    for y, x, expected in vectors["blur"]:
        assert abs(made[y, x] - expected) < 1e-6
