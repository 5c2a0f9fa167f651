"""Use-case: which scripts there are. Source: spec scripts.md 3."""

from collections.abc import Sequence

from application.models import Models
from application.ports.options import OptionsStore
from domain.scripts import Script, img2img_scripts, txt2img_scripts


class ListScripts:
    """What `GET /scripts` and `GET /script-info` show."""

    def __init__(self, models: Models, options: OptionsStore) -> None:
        self._models = models
        self._options = options

    def __call__(self) -> Sequence[Script]:
        """Those of text-to-image, then those of image-to-image, with the checkpoints and samplers
        there are to choose from."""
        titles = [each.title for each in self._models.list()]
        hidden = self._options.snapshot().texts("hide_samplers")
        return [*txt2img_scripts(titles, hidden), *img2img_scripts(titles, hidden)]
