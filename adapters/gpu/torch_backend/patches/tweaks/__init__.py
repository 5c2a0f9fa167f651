"""What a job changes in how the networks it shares with other jobs compute (spec sampling.md 7).

A network is prepared once, when it is built. From then on it asks, at each place a tweak could
reach, whether the thread that calls it is inside `in_force`; if not, it computes as ever. So no
job ever writes to a network, and one that fails leaves nothing behind.
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
