"""Faces out of what the detector answers (spec images.md 11, steps 1 and 2)."""

import numpy as np
import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.faces.alignment import TEMPLATE
from hexfusion.adapters.gpu.torch_backend.faces.detection import _anchors, find_faces
from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceTensors, build
from hexfusion.adapters.gpu.torch_backend.faces.retinaface import RetinaFace
from tests.adapters.gpu.torch_backend.faces import files

pytestmark = pytest.mark.torch


class Detector:
    """Sees the faces that it is told of, in a picture of a size: their scores, middles, sides."""

    def __init__(self, *faces, eyes=0.25):
        self._faces, self._eyes = faces, eyes
        self.seen = None

    def __call__(self, pixels):
        self.seen = pixels
        anchors = _anchors(pixels.shape[3], pixels.shape[2])
        scores = torch.zeros(len(anchors))
        boxes, landmarks = torch.zeros(len(anchors), 4), torch.zeros(len(anchors), 10)
        for at, (score, x, y, side) in enumerate(self._faces):
            anchor = anchors[at]
            scores[at] = score
            boxes[at, :2] = (torch.tensor([x, y]) - anchor[:2]) / anchor[2] / 0.1
            boxes[at, 2:] = torch.log(side / anchor[2]) / 0.2
            points = torch.tensor([[x, y]] * 5)
            points[0, 0] -= side * self._eyes
            points[1, 0] += side * self._eyes
            landmarks[at] = ((points - anchor[:2]) / anchor[2] / 0.1).flatten()
        return scores, boxes, landmarks


def picture(width=320, height=640):
    return np.zeros((height, width, 3), np.uint8)


def test_the_shorter_side_is_640_pixels():
    for size, shown in (((320, 640), (640, 1280)), ((1280, 960), (853, 640)), ((1, 1), (640, 640))):
        detector = Detector()
        find_faces(picture(*size), detector)
        assert tuple(detector.seen.shape) == (1, 3, shown[1], shown[0])


def test_strips_do_not_outgrow_memory():
    """A1111 makes 640 x 12,800,000 pixels of this."""
    detector = Detector()
    find_faces(picture(1, 20000), detector)
    assert tuple(detector.seen.shape) == (1, 3, 5120, 1)


def test_levels_are_blue_green_red_less_the_means():
    detector = Detector()
    find_faces(np.full((640, 640, 3), (10, 20, 30), np.uint8), detector)
    assert detector.seen[0, :, 5, 5].tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_boxes_and_landmarks_are_pixels_of_the_picture_and_the_likeliest_comes_first():
    detector = Detector((0.98, 100.0, 300.0, 60.0), (0.99, 500.0, 900.0, 200.0))
    first, second = find_faces(picture(), detector)  # half the size of what is looked at
    assert (first.score, second.score) == pytest.approx((0.99, 0.98))
    assert first.box == pytest.approx((200, 400, 300, 500), abs=1e-2)
    assert second.box == pytest.approx((35, 135, 65, 165), abs=1e-2)
    assert first.landmarks[0] == pytest.approx(225 + 450j, abs=1e-2)
    assert first.landmarks[1] == pytest.approx(275 + 450j, abs=1e-2)


@pytest.mark.parametrize(("score", "found"), [(0.9699, 0), (0.9701, 1)])
def test_what_is_less_likely_is_no_face(score, found):
    assert len(find_faces(picture(), Detector((score, 300.0, 300.0, 60.0)))) == found


@pytest.mark.parametrize(("aside", "found"), [(0.0, 1), (40.0, 1), (44.0, 2), (200.0, 2)])
def test_of_boxes_that_share_more_than_two_fifths_one_stays(aside, found):
    """100 pixels wide, 40 aside: 60 of 140 are shared; 44 aside: 56 of 144."""
    faces = find_faces(
        picture(), Detector((0.98, 200.0 + aside, 300.0, 100.0), (0.99, 200.0, 300.0, 100.0))
    )
    assert len(faces) == found
    assert faces[0].score == pytest.approx(0.99)


@pytest.mark.parametrize(("eyes", "found"), [(0.049, 0), (0.051, 1)])
def test_eyes_are_five_pixels_apart_or_more(eyes, found):
    """In the picture itself, which is half the size of what is looked at."""
    detector = Detector((0.99, 300.0, 300.0, 100.0), eyes=eyes)
    assert len(find_faces(picture(), detector)) == found


def test_numbers_that_no_face_has_are_no_face():
    for wrong in (float("nan"), float("inf"), 1e30):
        assert find_faces(picture(), Detector((0.99, wrong, 300.0, 60.0))) == []


def test_through_the_network_a_white_dot_is_a_face_where_it_is():
    """From the file's tensors to landmarks in the picture."""
    network = build(FaceTensors("x", files.seeing_white_dots()), RetinaFace)
    with torch.inference_mode():
        (face,) = find_faces(np.array(files.portrait()), network)
        assert find_faces(np.array(files.dim()), network) == []
    for point, wanted in zip(face.landmarks, TEMPLATE, strict=True):
        expected = files.CENTRE + (wanted - complex(256, 256)) * files.SHARE / 5
        assert abs(point - expected) < 1e-3
