"""The registry of selectable scripts of txt2img and img2img, in the order of A1111's lists."""

from hexfusion.application.scripts.selectable.alternative_test import alternative_test
from hexfusion.application.scripts.selectable.loopback import loopback
from hexfusion.application.scripts.selectable.outpainting_mk2 import outpainting_mk2
from hexfusion.application.scripts.selectable.poor_mans_outpainting import poor_mans_outpainting
from hexfusion.application.scripts.selectable.prompt_matrix import prompt_matrix
from hexfusion.application.scripts.selectable.prompts_from_file import prompts_from_file
from hexfusion.application.scripts.selectable.script_run import Selectable
from hexfusion.application.scripts.selectable.sd_upscale import sd_upscale
from hexfusion.domain.scripts import alternative_test as of_alternative
from hexfusion.domain.scripts import loopback as of_loopback
from hexfusion.domain.scripts import outpainting as of_outpainting
from hexfusion.domain.scripts import prompt_matrix as of_matrix
from hexfusion.domain.scripts import prompts_from_file as of_file
from hexfusion.domain.scripts import sd_upscale as of_upscale

_OF_BOTH: tuple[Selectable, ...] = (
    Selectable(of_matrix.TITLE, of_matrix.PromptMatrix, prompt_matrix),
    Selectable(of_file.TITLE, of_file.PromptsFromFile, prompts_from_file),
)

TXT2IMG: tuple[Selectable, ...] = _OF_BOTH

IMG2IMG: tuple[Selectable, ...] = (
    Selectable(of_alternative.TITLE, of_alternative.AlternativeTest, alternative_test),
    Selectable(of_loopback.TITLE, of_loopback.Loopback, loopback),
    Selectable(of_outpainting.MK2, of_outpainting.OutpaintingMk2, outpainting_mk2),
    Selectable(of_outpainting.POOR_MANS, of_outpainting.PoorMansOutpainting, poor_mans_outpainting),
    *_OF_BOTH,
    Selectable(of_upscale.TITLE, of_upscale.SdUpscale, sd_upscale),
)
