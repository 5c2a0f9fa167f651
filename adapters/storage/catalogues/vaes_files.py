"""Catalogue of VAE files, in A1111's folder layout. Source: spec networks.md 1.3 and 1.6."""

import json
import logging
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.catalogues.extra_network_metadata import vae_halves
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.folders import files_below, opener
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import NotFound
from hexfusion.domain.vaes import VaeFile

#: In search order.
EXTENSIONS = (".ckpt", ".pt", ".safetensors")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VaeFolder:
    """A folder with VAE files. Among checkpoints only files named `*.vae.*` are VAEs."""

    path: Path
    among_checkpoints: bool = False


def vae_folders(
    models: Path, ckpt_dir: Path | None = None, vae_dir: Path | None = None
) -> tuple[VaeFolder, ...]:
    """Folders that are searched: `<models>/Stable-diffusion`, `<models>/VAE`, `--ckpt-dir`,
    `--vae-dir`."""
    folders = [VaeFolder(models / "Stable-diffusion", True), VaeFolder(models / "VAE")]
    if ckpt_dir is not None:
        folders.append(VaeFolder(ckpt_dir, True))
    if vae_dir is not None:
        folders.append(VaeFolder(vae_dir))
    return tuple(folders)


class FileVaes:
    """A `VaeCatalog` over folders of files. Reads the folders when created and at each refresh.

    Of two files with the same name the later replaces the earlier.
    """

    def __init__(self, folders: Sequence[VaeFolder], hashes: HashCache) -> None:
        self._folders = tuple(folders)
        self._hashes = hashes
        self._lock = threading.Lock()
        self._found: tuple[VaeFile, ...] = ()
        self.refresh()

    def vaes(self) -> Sequence[VaeFile]:
        return self._found

    def refresh(self) -> None:
        with self._lock:
            found = (self._describe(path) for folder in self._folders for path in _files(folder))
            by_name = {vae.name: vae for vae in found if vae is not None}
            self._found = tuple(by_name.values())

    def hash(self, vae: VaeFile) -> VaeFile:
        try:
            sha256 = self._hashes.sha256(_cache_key(vae.filename), Path(vae.filename))
        except OSError as error:
            raise NotFound("VAE", vae.name) from error
        hashed = msgspec.structs.replace(vae, sha256=sha256)
        with self._lock:
            self._found = tuple(
                hashed if each.filename == vae.filename else each for each in self._found
            )
        return hashed

    def own_halves(self, checkpoint: Checkpoint) -> Collection[str] | None:
        path = Path(checkpoint.filename)
        try:
            stat = path.stat()
        except OSError:
            return None
        return _own_halves(path, stat.st_mtime_ns, stat.st_size)

    def preference(self, checkpoint: Checkpoint) -> str | None:
        """Member `vae` of `<checkpoint stem>.json`, A1111's user metadata of a checkpoint."""
        path = Path(checkpoint.filename).with_suffix(".json")
        try:
            content = json.loads(path.read_bytes()) if path.is_file() else None
        except (OSError, ValueError, RecursionError) as error:
            log.warning("ignoring damaged notes on a checkpoint in %s: %s", path, error)
            return None
        name = content.get("vae") if isinstance(content, dict) else None
        return name if isinstance(name, str) else None

    def _describe(self, path: Path) -> VaeFile | None:
        filename = os.path.abspath(path)
        try:
            filename.encode()
            stat = path.stat()
        except UnicodeEncodeError:
            log.warning("skipping a VAE whose name is not UTF-8: %r", filename)
            return None
        except OSError as error:
            log.warning("skipping a VAE that cannot be read: %s", error)
            return None
        sha256 = self._hashes.get(_cache_key(filename), stat.st_mtime, stat.st_size)
        return VaeFile(name=path.name, filename=filename, sha256=sha256)


def _files(folder: VaeFolder) -> Iterator[Path]:
    """The VAE files of a folder, by extension, then in natural order. Hidden
    folders are left out, as in the reference (spec networks.md 1.6)."""
    middle = ".vae" if folder.among_checkpoints else ""
    endings = tuple(middle + extension for extension in EXTENSIONS)

    def wanted(name: str) -> bool:
        return name.lower().endswith(endings)

    paths = list(files_below(folder.path, wanted, hidden=False))
    return iter(sorted(paths, key=lambda path: EXTENSIONS.index(path.suffix.lower())))


@lru_cache(maxsize=64)
def _own_halves(path: Path, modified: int, size: int) -> Collection[str] | None:
    return vae_halves(path, opener(path))


def _cache_key(filename: str) -> str:
    """The key of a VAE file in the hash cache.

    A1111 uses the key `vae` for all VAEs, and so can report the hash of another one; that entry is
    neither read nor changed.
    """
    return f"vae/{filename}"
