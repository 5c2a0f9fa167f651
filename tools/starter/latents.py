"""The fixed, linear picture code: what the exported VAE encoder computes, in numpy.

Each 8 x 8 block of a picture (values -1..1) becomes four numbers: its mean R, G and B, whitened
over the world so that they have zero mean and unit covariance, and its luminance contrast (mean of
the centre 4 x 4 minus mean of the ring around it), with standard deviation 0.5. These are the
latents the diffusion model sees, i.e. already multiplied by the scale factor 0.18215.
"""

import numpy as np

BLOCK = 8
SCALE_FACTOR = 0.18215
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Measured on 2,500 training pictures at 128 px.
FEATURE_MEAN = np.array([0.1765, -0.0238, -0.0734, 0.0], np.float32)
WHITEN = np.array(
    [
        [1.7409, -0.5916, 0.0581, 0.0],
        [-0.5916, 2.3098, -0.4764, 0.0],
        [0.0581, -0.4764, 1.7494, 0.0],
        [0.0, 0.0, 0.0, 7.5],
    ],
    np.float32,
)


def block_features(images: np.ndarray) -> np.ndarray:
    """uint8 [n, s, s, 3] -> float32 [n, 4, s/8, s/8]: mean R, G, B (-1..1), contrast."""
    n, side = images.shape[:2]
    grid = side // BLOCK
    x = images.astype(np.float32) / 127.5 - 1
    blocks = x.reshape(n, grid, BLOCK, grid, BLOCK, 3)
    mean = blocks.mean((2, 4))
    centre = blocks[:, :, 2:6, :, 2:6].mean((2, 4)) @ LUMA
    whole = mean @ LUMA
    contrast = (centre - whole) * (64 / 48)  # ring = (64 whole - 16 centre) / 48
    return np.concatenate([mean, contrast[..., None]], -1).transpose(0, 3, 1, 2)


def encode(images: np.ndarray) -> np.ndarray:
    """uint8 [n, side, side, 3] -> latents float32 [n, 4, side/8, side/8], unit covariance."""
    centred = block_features(images) - FEATURE_MEAN[:, None, None]
    return np.einsum("ij,njhw->nihw", WHITEN, centred)


def mean_colours(latents: np.ndarray) -> np.ndarray:
    """Latents [n, 4, h, w] -> uint8 [n, h, w, 3]: the block means, for looks without a decoder."""
    features = np.einsum("ij,njhw->nihw", np.linalg.inv(WHITEN), latents)
    rgb = (features + FEATURE_MEAN[:, None, None])[:, :3].transpose(0, 2, 3, 1)
    return np.clip((rgb + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
