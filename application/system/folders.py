"""Which folders and files of the server a client may name by an option (ADR 6, 23)."""

from hexfusion.application.ports.images import ImageArchive
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import REGISTRY, Options

_PATHS = tuple(key for key, option in REGISTRY.items() if option.is_path)

OUTPUT_FOLDERS = tuple(
    key for key, option in REGISTRY.items() if option.form == "folder" and not option.without_effect
)
"""Keys of the options that name a folder which is written to."""


def check_folders(archive: ImageArchive, options: Options, base: Options) -> None:
    """Raises OptionError naming an option whose path leads out of the archive.

    `base` are the options as they are stored: what stands there already was put there by the
    operator, in the settings file, and may be sent back.
    """
    for key in _PATHS:
        path = options.text(key)
        if path != base.text(key) and not archive.holds(path):
            message = (
                f"{path[:200]!r} is outside of the data folder, and of the folders that the "
                "settings file named when the server started"
            )
            raise OptionError(key, message)
