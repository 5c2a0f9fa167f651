"""The bundled models: the starter checkpoint and its captioner."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.catalogues.checkpoints_files import EXTENSIONS

NAME = "hexfusion-starter.safetensors"
_CAPTIONER = "hexfusion-captioner.safetensors"


def install_starter(folders: Sequence[Path]) -> Path | None:
    """Copy the starter checkpoint into the last of `folders` if none of them holds a checkpoint.

    Returns its path, or None if nothing was installed.
    """
    there = (path for folder in folders for path in folder.rglob("*"))
    if any(path.suffix.lower() in EXTENSIONS for path in there):
        return None
    target = folders[-1] / NAME
    with as_file(files("hexfusion.adapters.storage") / "assets" / NAME) as source:
        write_atomically(target, source.read_bytes())
    return target


def starter_captioner() -> bytes:
    """The safetensors file of the captioner for pictures of the starter checkpoint."""
    return (files("hexfusion.adapters.storage") / "assets" / _CAPTIONER).read_bytes()
