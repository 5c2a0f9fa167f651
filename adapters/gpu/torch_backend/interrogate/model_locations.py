"""Finding the files of the interrogation networks. Source: spec images.md 12, api.md 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.domain.errors import ModelUnavailable


@dataclass(frozen=True)
class ModelLocation:
    """A network's `folder`, the name of its published file, and accepted file endings."""

    folder: Path
    file: str
    endings: Sequence[str]

    def find(self, files_below: FilesBelow) -> Path | None:
        """The published file if it exists, else the first file with an accepted ending, or None."""

        def wanted(name: str) -> bool:
            return name.lower().endswith(tuple(self.endings))

        found = list(files_below(self.folder, wanted))
        named = (path for path in found if path.stem == Path(self.file).stem)
        return next(named, found[0] if found else None)

    def need(self, files_below: FilesBelow, what: str) -> Path:
        """`find`, but raises `ModelUnavailable` if there is none; `what` is what needs it."""
        path = self.find(files_below)
        if path is None:
            raise ModelUnavailable(f"{what} needs {self.file} in {self.folder}")
        return path


@dataclass(frozen=True)
class ModelLocations:
    """The locations of all interrogation networks."""

    blip: ModelLocation
    clip: ModelLocation
    danbooru: ModelLocation


def model_locations(models: Path, clip: Path | None) -> ModelLocations:
    """The locations below the folder `models`; `clip` is CLIP's folder if a flag names one."""
    torch, either = (".pt", ".pth"), (".pt", ".pth", ".bin", ".safetensors")
    return ModelLocations(
        blip=ModelLocation(
            models / "BLIP", "model_base_caption_capfilt_large.pth", (*torch, ".safetensors")
        ),
        clip=ModelLocation(clip or models / "CLIP", "ViT-L-14.pt", either),
        danbooru=ModelLocation(models / "torch_deepdanbooru", "model-resnet_custom_v3.pt", torch),
    )
