"""Use-case: list the scripts and their arguments. Source: spec scripts.md 3."""

from collections.abc import Mapping, Sequence

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.always_on.script import AlwaysOn
from hexfusion.application.scripts.selectable.registry import IMG2IMG, TXT2IMG
from hexfusion.application.scripts.selectable.script_run import Selectable
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.scripts import Script, form_of
from hexfusion.domain.upscalers import upscale_settings


class ListScripts:
    """Lists scripts for `GET /scripts` and `GET /script-info`."""

    def __init__(self, models: Models, options: OptionsStore, upscaler: Upscaler) -> None:
        self._models = models
        self._options = options
        self._upscaler = upscaler

    def __call__(self) -> Sequence[Script]:
        """The scripts of txt2img, then those of img2img; of each the selectable ones first.

        Arguments offer the checkpoints, samplers and upscalers that the server has now.
        """
        options = self._options.snapshot()
        hidden = options.texts("hide_samplers")
        lists = {
            "checkpoints": [each.title for each in self._models.list()],
            "samplers": [each.name for each in SAMPLERS if each.name not in hidden],
            "upscalers": [each.name for each in self._upscaler.list(upscale_settings(options))],
        }
        return listed_scripts(lists, options)


def listed_scripts(
    lists: Mapping[str, Sequence[str]], options: Options, always_on: Sequence[AlwaysOn] = SCRIPTS
) -> list[Script]:
    """The scripts as listed under these options.

    `lists` has the choices that only the server knows, by the names in `Choice.among`.
    """
    scripts: list[Script] = []
    kinds: tuple[tuple[type[AnyRequest], Sequence[Selectable]], ...]
    kinds = ((Txt2Img, TXT2IMG), (Img2Img, IMG2IMG))
    for kind, selectable in kinds:
        of_pictures = kind is Img2Img
        scripts += [
            Script(
                name=each.title.lower(),
                always_on=False,
                of_pictures=of_pictures,
                arguments=form_of(each.arguments, lists),
            )
            for each in selectable
        ]
        scripts += [
            Script(
                name=each.name,
                of_pictures=of_pictures,
                arguments=(
                    form_of(each.arguments_of(kind, options), lists)
                    if each.listing == "described"
                    else None
                ),
            )
            for each in always_on
            if kind in each.kinds and each.listing != "hidden"
        ]
    return scripts
