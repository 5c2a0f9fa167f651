"""The catalogue of upscaling networks, from the files in their folders. Source: images.md 9.1."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.adapters.gpu.torch_backend.upscale.packaged import EXTRA, is_packaged, packaged_file
from hexfusion.domain.errors import ModelUnavailable, NotFound
from hexfusion.domain.upscalers import DAT, REAL_ESRGAN, NamedModel, UpscalerModel, UpscaleSettings

_EXTENSIONS = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class UpscalerFamily:
    """A kind of upscaler: its folder below models, and A1111's model name and scale for its files.

    `named` are published models with names of their own.
    """

    folder: str
    model_name: str | None
    scale: float | None
    named: Sequence[NamedModel] = ()


FAMILIES = (
    UpscalerFamily("ESRGAN", "ESRGAN_4x", 4.0),
    UpscalerFamily("RealESRGAN", None, 4.0, REAL_ESRGAN),
    UpscalerFamily("DAT", None, None, DAT),
    UpscalerFamily("HAT", None, 4.0),
    UpscalerFamily("SwinIR", "SwinIR 4x", 4.0),
    UpscalerFamily("ScuNET", "ScuNET GAN", 4.0),
)


@dataclass(frozen=True)
class UpscalerSource:
    """A usable network and its file; if `packaged`, the file is first converted from that one."""

    model: UpscalerModel
    family: str
    file: Path
    packaged: Path | None = None


class Catalogue:
    """Finds networks. The folders are read at each call, as files may change.

    `folders` maps a family to its folders, the first taking precedence. Converted files are
    written to the last.
    """

    def __init__(self, folders: Mapping[str, Sequence[Path]], files_below: FilesBelow) -> None:
        self._folders = folders
        self._files_below = files_below

    def sources(self, settings: UpscaleSettings) -> list[UpscalerSource]:
        """All networks, sorted by name without case; of equal names the first in `FAMILIES`."""
        found: dict[str, UpscalerSource] = {}
        for family in FAMILIES:
            for source in self._of(family, settings):
                found.setdefault(source.model.name, source)
        return sorted(found.values(), key=lambda each: each.model.name.lower())

    def find(self, name: str, settings: UpscaleSettings) -> UpscalerSource:
        """The network of that name.

        Raises `NotFound`, and `ModelUnavailable` for a published model whose file is missing.
        """
        for source in self.sources(settings):
            if source.model.name == name:
                return source
        for family in FAMILIES:
            for named in family.named:
                if named.name == name and name in settings.enabled:
                    raise ModelUnavailable(self._missing(family, named))
        raise NotFound("upscaler", name)

    def _of(self, family: UpscalerFamily, settings: UpscaleSettings) -> Iterator[UpscalerSource]:
        files: dict[str, Path] = {}
        for folder in self._folders.get(family.folder, ()):
            for path in self._files_below(folder, _is_weights):
                files.setdefault(path.stem, path)
        for named in family.named:
            if named.name in settings.enabled:
                yield from self._named(family, named, files.get(named.stem))
        known = {named.stem for named in family.named}
        for stem, path in files.items():
            if stem not in known:
                yield UpscalerSource(
                    _model(stem, path, family.model_name, family.scale), family.folder, path
                )

    def _named(
        self, family: UpscalerFamily, named: NamedModel, file: Path | None
    ) -> Iterator[UpscalerSource]:
        packaged = None if file else packaged_file(named.stem)
        if packaged:
            file = self._folders[family.folder][-1] / f"{named.stem}.safetensors"
        if file:
            model = _model(named.name, file, family.model_name, float(named.scale))
            yield UpscalerSource(model, family.folder, file, packaged)

    def _missing(self, family: UpscalerFamily, named: NamedModel) -> str:
        folder = self._folders[family.folder][-1]
        message = f"upscaler {named.name!r} needs {named.stem}.pth or .safetensors in {folder}"
        return f"{message}, or: {EXTRA}" if is_packaged(named.stem) else message


def _is_weights(name: str) -> bool:
    return name.lower().endswith(_EXTENSIONS)


def _model(name: str, path: Path, model_name: str | None, scale: float | None) -> UpscalerModel:
    return UpscalerModel(name=name, model_name=model_name, path=str(path), scale=scale)
