"""The scripts there are. A script is added here, in the order of A1111's lists."""

from application.scripts.alternative_test import alternative_test
from application.scripts.loopback import loopback
from application.scripts.outpainting_mk2 import outpainting_mk2
from application.scripts.poor_mans_outpainting import poor_mans_outpainting
from application.scripts.prompt_matrix import prompt_matrix
from application.scripts.prompts_from_file import prompts_from_file
from application.scripts.sd_upscale import sd_upscale
from application.scripts.stage import Selectable
from domain.scripts import alternative_test as of_alternative
from domain.scripts import loopback as of_loopback
from domain.scripts import outpainting as of_outpainting
from domain.scripts import prompt_matrix as of_matrix
from domain.scripts import prompts_from_file as of_file
from domain.scripts import sd_upscale as of_upscale

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
    Selectable(of_upscale.TITLE, of_upscale.SdUpscale, sd_upscale, upscalers="upscaler"),
)
