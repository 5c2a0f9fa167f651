"""Faces in a picture, out of what RetinaFace answers. Source: spec images.md 11, steps 1 and 2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.faces.resampling import Array, lanczos

Detector = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Levels of a picture -> of every anchor, likelihood, box and landmarks; all on the CPU."""

#: The shorter side that faces are looked for at, pixels, and how long the other may become: A1111
#: sets no bound, and runs out of memory over strips.
_SIDE, _LONGEST = 640, 8 * 640
#: How likely a face must be, and how much of two boxes may be shared.
_LIKELY, _SHARED = 0.97, 0.4
#: Beyond which nothing is a place, pixels.
_FAR = 1e6
#: Between a face's eyes, pixels of the picture.
_EYES = 5.0
#: Of blue, green and red, in the pictures that the network learnt from.
_MEAN = (104.0, 117.0, 123.0)
#: Pixels between anchors of a scale, and how large its two are.
_SCALES = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
#: What the network's numbers are multiplied by: places in anchors' sizes, sizes as logarithms.
_PLACE, _SIZE = 0.1, 0.2


@dataclass(frozen=True)
class Face:
    """`box` is left, top, right, bottom; `landmarks` are eyes, nose and corners of the mouth, x +
    iy. Pixels."""

    score: float
    box: tuple[float, float, float, float]
    landmarks: tuple[complex, ...]


def find_faces(picture: Array, detector: Detector) -> list[Face]:
    """The faces of an RGB picture (H, W, 3), bytes; the likeliest first."""
    height, width = picture.shape[:2]
    ratio = max(min(height, width) / _SIDE, max(height, width) / _LONGEST)
    size = max(1, int(width / ratio)), max(1, int(height / ratio))
    levels = lanczos(picture, *size)[:, :, ::-1] - np.array(_MEAN, np.float32)
    pixels = torch.from_numpy(np.ascontiguousarray(levels)).permute(2, 0, 1).unsqueeze(0)
    faces = _faces(*detector(pixels), _anchors(*size), ratio)
    return [face for face in faces if abs(face.landmarks[0] - face.landmarks[1]) >= _EYES]


def _anchors(width: int, height: int) -> Tensor:
    """(N, 3): x and y of their middles, and their sides, pixels; in the network's order."""
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
    """Which boxes stay when those go that share too much with a likelier one.

    Boxes hold both of the pixels that their corners name, as in the detector's own evaluation.
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
