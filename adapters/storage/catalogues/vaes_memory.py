"""In-memory catalogue of VAEs, for tests; the counterpart of `vaes_files`."""

import hashlib
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from pathlib import PurePosixPath

import msgspec

from hexfusion.adapters.storage.catalogues.extra_network_metadata import vae_halves
from hexfusion.domain.checkpoints import Checkpoint, natural_key
from hexfusion.domain.errors import NotFound
from hexfusion.domain.vaes import VaeFile

_EXTENSIONS = (".ckpt", ".pt", ".safetensors")


class MemoryVaes:
    """A `VaeCatalog` over `files`, a mapping of paths to contents, which the caller may change.

    Paths are below a models folder, such as "VAE/a.pt" or "Stable-diffusion/m.vae.safetensors".
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._hashes: dict[str, str] = {}
        self._found: tuple[VaeFile, ...] = ()
        self.refresh()

    def vaes(self) -> Sequence[VaeFile]:
        return self._found

    def refresh(self) -> None:
        with self._lock:
            paths = sorted(filter(_is_vae, map(PurePosixPath, self._files)), key=_scan_key)
            by_name = {path.name: self._describe(path) for path in paths}
            self._found = tuple(by_name.values())

    def hash(self, vae: VaeFile) -> VaeFile:
        with self._lock:
            content = self._files.get(vae.filename)
            if content is None:
                raise NotFound("VAE", vae.name)
            self._hashes[vae.filename] = sha256 = hashlib.sha256(content).hexdigest()
            hashed = msgspec.structs.replace(vae, sha256=sha256)
            self._found = tuple(
                hashed if each.filename == vae.filename else each for each in self._found
            )
            return hashed

    def own_halves(self, checkpoint: Checkpoint) -> Collection[str] | None:
        content = self._files.get(checkpoint.filename)
        if content is None:
            return None
        return vae_halves(PurePosixPath(checkpoint.filename), lambda mode: BytesIO(content))

    def preference(self, checkpoint: Checkpoint) -> str | None:
        notes = self._files.get(str(PurePosixPath(checkpoint.filename).with_suffix(".json")), b"{}")
        try:
            content = json.loads(notes)
        except ValueError:
            return None
        name = content.get("vae") if isinstance(content, dict) else None
        return name if isinstance(name, str) else None

    def _describe(self, path: PurePosixPath) -> VaeFile:
        filename = str(path)
        return VaeFile(name=path.name, filename=filename, sha256=self._hashes.get(filename))


def _is_vae(path: PurePosixPath) -> bool:
    among_checkpoints = path.parts[0] != "VAE"
    if any(part.startswith(".") for part in path.parts) or path.suffix not in _EXTENSIONS:
        return False
    return path.stem.endswith(".vae") or not among_checkpoints


def _scan_key(path: PurePosixPath) -> tuple[object, ...]:
    return (
        path.parts[0] == "VAE",
        _EXTENSIONS.index(path.suffix),
        natural_key(str(path.parent)),
        natural_key(path.name),
    )
