"""Use-case: which scripts there are. Source: spec scripts.md 3."""

from collections.abc import Sequence

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.application.scripts.selectable.registry import IMG2IMG, TXT2IMG
from hexfusion.application.scripts.selectable.stage import Selectable
from hexfusion.domain.scripts import Script, form_of, img2img_scripts, txt2img_scripts
from hexfusion.domain.scripts.extra_options import extra_arguments
from hexfusion.domain.upscalers import upscale_settings


class ListScripts:
    """What `GET /scripts` and `GET /script-info` show."""

    def __init__(self, models: Models, options: OptionsStore, upscaler: Upscaler) -> None:
        self._models = models
        self._options = options
        self._upscaler = upscaler

    def __call__(self) -> Sequence[Script]:
        """Those of text-to-image, then those of image-to-image; of each those that a request may
        select first. With the checkpoints, samplers and upscalers there are to choose from."""
        options = self._options.snapshot()
        titles = [each.title for each in self._models.list()]
        hidden = options.texts("hide_samplers")
        upscalers = [each.name for each in self._upscaler.list(upscale_settings(options))]
        return [
            *selectable_scripts(TXT2IMG, upscalers),
            *txt2img_scripts(titles, hidden, extra_arguments(options, of_pictures=False)),
            *selectable_scripts(IMG2IMG, upscalers, of_pictures=True),
            *img2img_scripts(titles, hidden, extra_arguments(options, of_pictures=True)),
        ]


def selectable_scripts(
    scripts: Sequence[Selectable], upscalers: Sequence[str], *, of_pictures: bool = False
) -> list[Script]:
    """As they are listed: by title in lower case, with their forms."""
    return [
        Script(
            name=each.title.lower(),
            always_on=False,
            of_pictures=of_pictures,
            arguments=form_of(each.arguments, {each.upscalers or "": upscalers}),
        )
        for each in scripts
    ]
