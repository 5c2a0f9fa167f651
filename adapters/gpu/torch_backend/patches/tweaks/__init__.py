"""Tweaks: tiling, token merging, hypertile and upcast attention of one job (spec sampling.md 7).

A network is prepared once, when it is built. At each call its layers check whether the calling
thread is inside an `in_force` context; if not, they compute as usual. So no job ever writes to a
shared network, and one that fails leaves nothing behind.
"""

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import (
    Computation,
    computation_of,
    computing,
    in_force,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.preparation import (
    prepare_unet,
    prepare_vae,
)

__all__ = [
    "Computation",
    "computation_of",
    "computing",
    "in_force",
    "prepare_unet",
    "prepare_vae",
]
