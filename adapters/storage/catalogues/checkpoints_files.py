"""Catalogue of checkpoint files, in A1111's folder layout. Source: spec networks.md 1.1 to 1.3."""

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.folders import files_below, open_file
from hexfusion.domain.checkpoints import Checkpoint, find
from hexfusion.domain.errors import NotFound

EXTENSIONS = (".ckpt", ".safetensors")
NOT_CHECKPOINTS = (".vae.ckpt", ".vae.safetensors")

_LEGACY_OFFSET = 0x100000
_LEGACY_SIZE = 0x10000

log = logging.getLogger(__name__)


def checkpoint_folders(models: Path, ckpt_dir: Path | None = None) -> tuple[Path, ...]:
    """Folders that are searched: `--ckpt-dir` first, then `<models>/Stable-diffusion`."""
    own = models / "Stable-diffusion"
    if ckpt_dir is None:
        return (own,)
    nested = ckpt_dir / "experiments" / "pretrained_models"
    return (nested if nested.is_dir() else ckpt_dir, own)


class FileCatalog:
    """A `ModelCatalog` over folders of files. Reads the folders when created and at each refresh.

    `selected` (`--ckpt`) is a file that is listed first, in whatever folder. Of two files with the
    same name the later replaces the earlier.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        hashes: HashCache,
        *,
        selected: Path | None = None,
    ) -> None:
        self._folders = tuple(folders)
        self._hashes = hashes
        self._selected = selected
        self._lock = threading.Lock()
        self._found: tuple[Checkpoint, ...] = ()
        self.refresh()

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self._found

    def refresh(self, *, hidden: bool = True) -> None:
        with self._lock:
            by_name: dict[str, Checkpoint] = {}
            for path in self._paths(hidden):
                checkpoint = self._describe(path)
                if checkpoint is not None:
                    by_name[checkpoint.name] = checkpoint
            self._found = tuple(by_name.values())

    def resolve(self, name: str) -> Checkpoint:
        checkpoint = find(self._found, name)
        if checkpoint is None:
            raise NotFound("checkpoint", name)
        return checkpoint

    def hash(self, checkpoint: Checkpoint) -> Checkpoint:
        try:
            sha256 = self._hashes.sha256(_cache_key(checkpoint.name), Path(checkpoint.filename))
        except OSError as error:
            raise NotFound("checkpoint", checkpoint.name) from error
        with self._lock:
            self._found = tuple(
                msgspec.structs.replace(each, sha256=sha256)
                if each.filename == checkpoint.filename
                else each
                for each in self._found
            )
        return msgspec.structs.replace(checkpoint, sha256=sha256)

    def _paths(self, hidden: bool) -> Iterator[Path]:
        if self._selected is not None and self._selected.is_file():
            yield self._selected
        for folder in self._folders:
            yield from files_below(folder, _is_checkpoint, hidden=hidden)

    def _describe(self, path: Path) -> Checkpoint | None:
        filename = os.path.abspath(path)
        name = self._name(Path(filename))
        try:
            name.encode()
            stat = path.stat()
            legacy_hash = _legacy_hash(path)
        except UnicodeEncodeError:
            log.warning("skipping a checkpoint whose name is not UTF-8: %r", filename)
            return None
        except OSError as error:
            log.warning("skipping a checkpoint that cannot be read: %s", error)
            return None
        config = path.with_suffix(".yaml")
        return Checkpoint(
            name=name,
            filename=filename,
            legacy_hash=legacy_hash,
            sha256=self._hashes.get(_cache_key(name), stat.st_mtime, stat.st_size),
            config=os.path.abspath(config) if config.is_file() else None,
        )

    def _name(self, path: Path) -> str:
        for folder in self._folders:
            if path.is_relative_to(os.path.abspath(folder)):
                return path.relative_to(os.path.abspath(folder)).as_posix()
        return path.name


def _is_checkpoint(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(EXTENSIONS) and not lower.endswith(NOT_CHECKPOINTS)


def _cache_key(name: str) -> str:
    return f"checkpoint/{name}"


def _legacy_hash(path: Path) -> str:
    with open_file(path) as file:
        file.seek(_LEGACY_OFFSET)
        return hashlib.sha256(file.read(_LEGACY_SIZE)).hexdigest()[:8]
