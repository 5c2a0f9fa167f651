"""Extracting a face, restoring it, and pasting it back. Source: spec images.md 11, steps 3 to 6."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.faces.alignment import Similarity
from hexfusion.adapters.gpu.torch_backend.faces.resampling import (
    Area,
    Array,
    blurred_mask,
    mapped_area,
    warped,
)
from hexfusion.domain.errors import NotANumber

FaceFunction = Callable[[Tensor], Tensor]
"""A network as a function on the CPU: RGB pixels (1, 3, 512, 512), -1 to 1, to restored pixels of
that shape, or to logits (1, classes, 512, 512)."""

SIDE = 512
_WHOLE = Area(0, 0, SIDE, SIDE)
#: The RGB colour outside of the picture, for faces that cross its border.
_BORDER = (132, 133, 135)
#: Which of ParseNet's 19 classes belong to the face: skin and what is on it, ears and earrings;
#: not background, hair, hats, necks and clothes.
_FACE = np.isin(np.arange(19), (*range(1, 14), 15))
#: Pixels along a face's border that are never pasted.
_RIM = 10


@dataclass(frozen=True)
class Patch:
    """A restored face (512, 512, 3) of bytes and its opacity `share` (512, 512), 0 to 1.

    `way` maps the picture's points to the face's.
    """

    face: Array
    share: Array
    way: Similarity


def extract_face(picture: Array, way: Similarity) -> Array:
    """The aligned face (512, 512, 3) of an RGB picture of bytes."""
    return warped(picture, way.inverse, _WHOLE, _BORDER)


def restored_face(face: Array, restore: FaceFunction) -> Array:
    """The face (512, 512, 3) of bytes restored; truncated to bytes as in A1111.

    Raises `NotANumber`.
    """
    made = restore(_pixels(face))
    if made.isnan().any():
        raise NotANumber("the face restoration network yields NaN; is its file damaged?")
    levels = made[0].clamp(-1, 1).add(1).mul(255 / 2).to(torch.uint8)
    return levels.permute(1, 2, 0).numpy()


def face_share(face: Array, parse: FaceFunction) -> Array:
    """The opacity of each pixel of a restored face: (512, 512), 0 to 1."""
    classes = parse(_pixels(face))[0].argmax(0).numpy()
    mask = blurred_mask(_FACE[classes].astype(np.float64) * 255)
    rim = np.zeros_like(mask)
    inner = slice(_RIM, -_RIM)
    rim[inner, inner] = mask[inner, inner]
    return rim / 255


def paste_faces(picture: Array, patches: Sequence[Patch]) -> Array:
    """The picture with the faces pasted in order; pixels outside of them are unchanged."""
    height, width = picture.shape[:2]
    areas = [mapped_area(patch.way.inverse, _WHOLE).within(width, height) for patch in patches]
    placed = [pair for pair in zip(patches, areas, strict=True) if not pair[1].empty]
    if not placed:
        return picture
    whole = reduce(Area.around, (area for _, area in placed))
    base = whole.of(picture).astype(np.float64)
    for patch, area in placed:
        share = warped(patch.share[:, :, None], patch.way, area, (0,))
        face = warped(patch.face, patch.way, area, (0, 0, 0))
        part = area.seen_from(whole).of(base)
        part[:] = share * face + (1 - share) * part
    made = picture.copy()
    whole.of(made)[:] = base.astype(np.uint8)
    return made


def _pixels(face: Array) -> Tensor:
    """A face of bytes as a tensor (1, 3, H, W), -1 to 1."""
    levels = torch.from_numpy(face.copy()).permute(2, 0, 1).unsqueeze(0)
    return levels.float().div(255).sub(0.5).div(0.5)
