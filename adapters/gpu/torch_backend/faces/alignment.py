"""Alignment: the similarity transform from a face's landmarks to the restorers' template.

Points are complex numbers, x + iy, so that a similarity is one product and one sum. Source: spec
images.md 11, step 3. Tests compare the results with OpenCV's `estimateAffinePartial2D` (LMEDS).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

#: Eyes, nose and corners of the mouth in an aligned face of 512 x 512 pixels.
TEMPLATE = (
    complex(192.98138, 239.94708),
    complex(318.90277, 240.1936),
    complex(256.63416, 314.01935),
    complex(201.26117, 371.41043),
    complex(313.08905, 371.15118),
)

#: The pairs of points that OpenCV draws from its generator with a fixed seed, without repetitions.
_PAIRS = ((0, 4), (0, 3), (1, 2), (0, 1), (1, 4), (1, 3))

#: Inliers are within this many deviations (Rousseeuw's factors for five points, two of which fit).
_BELIEVABLE = 2.5 * 1.4826 * (1 + 5 / (5 - 2))
_LEAST = 0.001
#: The least scale of a transform; below it, the landmarks are of no face.
_SMALLEST_TURN = 1e-4


@dataclass(frozen=True)
class Similarity:
    """A rotation, scaling and shift: z -> `turn` * z + `shift`."""

    turn: complex
    shift: complex

    def __call__(self, point: complex) -> complex:
        return self.turn * point + self.shift

    @property
    def inverse(self) -> "Similarity":
        """The transform in the other direction."""
        return Similarity(1 / self.turn, -self.shift / self.turn)


def alignment(landmarks: Sequence[complex]) -> Similarity | None:
    """The similarity from a picture's five landmarks (pixels) to `TEMPLATE`; None if there is none.

    Least median of squares: of the similarities through a pair of points, the one with the least
    median error selects the inliers, which are then fitted by least squares.
    """
    best, least = None, float("inf")
    for pair in _PAIRS:
        if landmarks[pair[0]] == landmarks[pair[1]]:
            continue
        through = _fitted(landmarks, pair)
        median = sorted(_errors(through, landmarks))[len(TEMPLATE) // 2]
        if median < least:
            best, least = through, median
    if best is None:
        return None
    bound = max(_BELIEVABLE * sqrt(least), _LEAST) ** 2
    believed = [at for at, error in enumerate(_errors(best, landmarks)) if error <= bound]
    if len(believed) > 2:
        best = _fitted(landmarks, believed)
    return best if abs(best.turn) > _SMALLEST_TURN else None


def _errors(way: Similarity, landmarks: Sequence[complex]) -> list[float]:
    """Squared distances from `TEMPLATE`, in pixels of the aligned face."""
    pairs = zip(landmarks, TEMPLATE, strict=True)
    return [abs(way(point) - wanted) ** 2 for point, wanted in pairs]


def _fitted(landmarks: Sequence[complex], points: Sequence[int]) -> Similarity:
    """The least-squares similarity over the points of these indices, not all equal."""
    count = len(points)
    middle = sum(landmarks[at] for at in points) / count
    wanted = sum(TEMPLATE[at] for at in points) / count
    turned, size = 0j, 0.0
    for at in points:
        offset = landmarks[at] - middle
        turned += offset.conjugate() * (TEMPLATE[at] - wanted)
        size += abs(offset) ** 2
    turn = turned / size
    return Similarity(turn, wanted - turn * middle)
