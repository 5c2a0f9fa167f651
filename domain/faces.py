"""Face restoration: what faces can be mended with, by A1111's names. Source: spec images.md 11."""

import msgspec

CODEFORMER, GFPGAN = "CodeFormer", "GFPGAN"

FACE_RESTORERS = (CODEFORMER, GFPGAN)
"""In A1111's order (spec api.md 14)."""


class FaceRestoration(msgspec.Struct, frozen=True, kw_only=True):
    """How faces are restored.

    `weight` is CodeFormer's alone, 0 to 1: 0 changes a face most, 1 keeps to what is there. With
    `unload` the networks leave the device once they are done.
    """

    model: str = CODEFORMER
    weight: float = 0.5
    unload: bool = False
