"""Face detection: decodes and filters RetinaFace's output. Source: spec images.md 11."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.faces.resampling import Array, lanczos

Detector = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""A picture's levels -> likelihood, box and landmarks of every anchor; all on the CPU."""

#: Pixels of the shorter side for detection, and the bound of the longer one: A1111 has no bound,
#: and runs out of memory on long strips.
_SIDE, _LONGEST = 640, 8 * 640
#: The least likelihood of a face, and the largest overlap (IoU) of two boxes.
_LIKELY, _SHARED = 0.97, 0.4
#: Coordinates beyond this (pixels) are invalid.
_FAR = 1e6
#: The least distance between a face's eyes, in pixels of the picture.
_EYES = 5.0
#: Mean blue, green and red of the network's training pictures.
_MEAN = (104.0, 117.0, 123.0)
#: Of each scale: pixels between anchors, and the sides of its two anchors.
_SCALES = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
#: Factors of the network's output: of positions in units of the anchor, and of log sizes.
_PLACE, _SIZE = 0.1, 0.2


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels: `box` is left, top, right, bottom; `landmarks` are eyes, nose and
    corners of the mouth as x + iy."""

    score: float
    box: tuple[float, float, float, float]
    landmarks: tuple[complex, ...]


def find_faces(picture: Array, detector: Detector) -> list[Face]:
    """The faces in an RGB picture (H, W, 3) of bytes, most likely first."""
    height, width = picture.shape[:2]
    ratio = max(min(height, width) / _SIDE, max(height, width) / _LONGEST)
    size = max(1, int(width / ratio)), max(1, int(height / ratio))
    levels = lanczos(picture, *size)[:, :, ::-1] - np.array(_MEAN, np.float32)
    pixels = torch.from_numpy(np.ascontiguousarray(levels)).permute(2, 0, 1).unsqueeze(0)
    faces = _faces(*detector(pixels), _anchors(*size), ratio)
    return [face for face in faces if abs(face.landmarks[0] - face.landmarks[1]) >= _EYES]


def _anchors(width: int, height: int) -> Tensor:
    """All anchors (N, 3) in the network's order: x and y of the middle, and the side, in pixels."""
    found = []
    for step, sides in _SCALES:
        y = (torch.arange(ceil(height / step)) + 0.5) * step
        x = (torch.arange(ceil(width / step)) + 0.5) * step
        grid = torch.cartesian_prod(y, x, torch.tensor(sides, dtype=y.dtype))
        found.append(grid[:, [1, 0, 2]])
    return torch.cat(found)


def _faces(
    scores: Tensor, boxes: Tensor, landmarks: Tensor, anchors: Tensor, ratio: float
) -> list[Face]:
    likely = scores > _LIKELY
    order = scores[likely].argsort(descending=True, stable=True)
    scores, boxes, landmarks, anchors = (
        each[likely][order] for each in (scores, boxes, landmarks, anchors)
    )
    middle, side = anchors[:, :2], anchors[:, 2:]
    centre, size = middle + boxes[:, :2] * _PLACE * side, side * (boxes[:, 2:] * _SIZE).exp()
    corners = torch.cat((centre - size / 2, centre + size / 2), 1)
    points = middle[:, None] + landmarks.view(-1, 5, 2) * _PLACE * side[:, None]
    sound = torch.cat((corners, points.flatten(1)), 1).abs().amax(1) < _FAR  # NaN is not
    scores, corners, points = scores[sound], corners[sound], points[sound]
    kept = _apart(corners.numpy())
    corners, points = corners[kept].double() * ratio, points[kept].double() * ratio
    return [
        Face(score, (box[0], box[1], box[2], box[3]), tuple(complex(*each) for each in five))
        for score, box, five in zip(
            scores[kept].tolist(), corners.tolist(), points.tolist(), strict=True
        )
    ]


def _apart(boxes: Array) -> Sequence[int]:
    """Non-maximum suppression: indices of the boxes that overlap no likelier one too much.

    `boxes` (N, 4) are sorted by likelihood. Their corners are inclusive pixels, as in the
    detector's own evaluation.
    """
    left, top, right, bottom = boxes.astype(np.float64).T
    areas = (right - left + 1) * (bottom - top + 1)
    kept: list[int] = []
    waiting = np.arange(len(boxes))
    while waiting.size:
        one, others = waiting[0], waiting[1:]
        kept.append(int(one))
        wide = np.minimum(right[one], right[others]) - np.maximum(left[one], left[others]) + 1
        high = np.minimum(bottom[one], bottom[others]) - np.maximum(top[one], top[others]) + 1
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        waiting = others[common / (areas[one] + areas[others] - common) <= _SHARED]
    return kept
