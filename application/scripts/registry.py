"""The scripts there are. A script is added here, in the order of A1111's lists."""

from application.scripts.sd_upscale import sd_upscale
from application.scripts.stage import Selectable
from domain.scripts import sd_upscale as sd_upscale_arguments

_OF_BOTH: tuple[Selectable, ...] = ()

TXT2IMG: tuple[Selectable, ...] = _OF_BOTH

IMG2IMG: tuple[Selectable, ...] = (
    *_OF_BOTH,
    Selectable(
        sd_upscale_arguments.TITLE,
        sd_upscale_arguments.SdUpscale,
        sd_upscale,
        upscalers="upscaler",
    ),
)
