"""All families in the order of detection."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
from hexfusion.adapters.gpu.torch_backend.families.family import Family, Unsupported
from hexfusion.adapters.gpu.torch_backend.families.sd1 import INSTRUCT_PIX2PIX, SD1, SD1_INPAINTING
from hexfusion.adapters.gpu.torch_backend.families.sd2 import SD2, SD2_INPAINTING
from hexfusion.adapters.gpu.torch_backend.families.sd2_depth import SD2_DEPTH
from hexfusion.adapters.gpu.torch_backend.families.sd2_unclip import UNCLIP_H, UNCLIP_L
from hexfusion.adapters.gpu.torch_backend.families.sdxl import REFINER, SDXL, SDXL_INPAINTING
from hexfusion.adapters.gpu.torch_backend.families.ssd1b import SSD_1B
from hexfusion.adapters.gpu.torch_backend.families.unsupported import ALT_DIFFUSION, SD3
from hexfusion.domain.errors import CheckpointError

#: A checkpoint is of the first family whose rule is true.
FAMILIES: tuple[Family | Unsupported, ...] = (
    SD3,
    SDXL_INPAINTING,
    SSD_1B,
    SDXL,
    REFINER,
    SD2_DEPTH,
    UNCLIP_L,
    UNCLIP_H,
    SD2_INPAINTING,
    SD2,
    ALT_DIFFUSION,
    SD1_INPAINTING,
    INSTRUCT_PIX2PIX,
    SD1,
)


def recognise(shapes: Shapes) -> Family | Unsupported:
    """The first family whose rule is true. Raises `CheckpointError` if there is none."""
    for family in FAMILIES:
        if family.detect(shapes):
            return family
    raise CheckpointError(shapes.file, "is not a Stable Diffusion checkpoint of any known family")
