"""Face restoration: the restorers, by A1111's names, and their settings.

Source: spec images.md 11.
"""

import msgspec

CODEFORMER, GFPGAN = "CodeFormer", "GFPGAN"

FACE_RESTORERS = (CODEFORMER, GFPGAN)
"""In A1111's order (spec api.md 14)."""


class FaceRestoration(msgspec.Struct, frozen=True, kw_only=True):
    """How faces are restored.

    `weight`, 0 to 1, is used by CodeFormer only: 0 changes a face most, 1 stays closest to the
    original. With `unload` the networks are removed from the device after each use.
    """

    model: str = CODEFORMER
    weight: float = 0.5
    unload: bool = False
