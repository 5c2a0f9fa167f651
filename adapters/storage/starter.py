"""The bundled models: the starter checkpoint and its captioner."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.catalogues.checkpoints_files import EXTENSIONS
from hexfusion.adapters.storage.folders import files_below

NAME = "hexfusion-starter.safetensors"
_CAPTIONER = "hexfusion-captioner.safetensors"


def install_starter(folders: Sequence[Path]) -> Path | None:
    """Copy the starter checkpoint into the last of `folders` if none of them holds a checkpoint.

    Returns its path, or None if nothing was installed.
    """
    if any(next(files_below(folder, _is_model), None) for folder in folders):
        return None
    target = folders[-1] / NAME
    with as_file(files("hexfusion.adapters.storage") / "assets" / NAME) as source:
        write_atomically(target, source.read_bytes())
    return target


def _is_model(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def starter_captioner() -> bytes:
    """The safetensors file of the captioner for pictures of the starter checkpoint."""
    return (files("hexfusion.adapters.storage") / "assets" / _CAPTIONER).read_bytes()
