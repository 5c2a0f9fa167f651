"""The folders of upscaling networks' files. Source: spec images.md 9.1."""

from collections.abc import Mapping, Sequence
from pathlib import Path

#: Families without a flag of their own.
_MORE = ("HAT",)


def upscaler_folders(models: Path, given: Mapping[str, Path]) -> Mapping[str, Sequence[Path]]:
    """Each family's folders, in order of precedence.

    `given` has the folders named by flags. If one is a checkout of the family's own program, the
    models folder in it is used. The usual folder, below `models`, is always the last.
    """
    folders = {family: _folders(models / family, folder) for family, folder in given.items()}
    return folders | {family: [models / family] for family in _MORE}


def _folders(usual: Path, given: Path) -> Sequence[Path]:
    if given == usual:
        return [usual]
    within = given / "experiments" / "pretrained_models"
    return [within if within.is_dir() else given, usual]
