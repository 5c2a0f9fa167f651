"""Preparing pictures for CLIP and BLIP. Source: Radford et al. 2021; spec images.md 12.1."""

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

#: Mean and standard deviation of each channel, 0 to 1, in CLIP's training pictures.
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)


def squashed(picture: Image, side: int) -> Image:
    """The whole picture resized to a square of `side` pixels, ignoring its aspect ratio."""
    return picture.resize((side, side), Resampling.BICUBIC)


def middle(picture: Image, side: int) -> Image:
    """The picture's central square, resized to `side` pixels."""
    shorter = min(picture.size)
    left, top = (picture.width - shorter) / 2, (picture.height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return picture.resize((side, side), Resampling.BICUBIC, box=box)


def normalised(picture: Image) -> Tensor:
    """The picture as normalised pixels (1, 3, H, W), about -2 to 2."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float().div_(255)
    mean, spread = (torch.tensor(each)[:, None, None] for each in (MEAN, SPREAD))
    return ((pixels - mean) / spread)[None]
