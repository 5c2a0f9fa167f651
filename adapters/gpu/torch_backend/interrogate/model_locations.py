"""Where the files of these networks lie. Source: spec images.md 12, api.md 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.domain.errors import ModelUnavailable


@dataclass(frozen=True)
class ModelLocation:
    """A folder, the published file that belongs there, and what files in it may end in."""

    folder: Path
    file: str
    endings: Sequence[str]

    def find(self, files_below: FilesBelow) -> Path | None:
        """The published file if it is there, else the first that may be such a one."""

        def wanted(name: str) -> bool:
            return name.lower().endswith(tuple(self.endings))

        found = list(files_below(self.folder, wanted))
        named = (path for path in found if path.stem == Path(self.file).stem)
        return next(named, found[0] if found else None)

    def need(self, files_below: FilesBelow, what: str) -> Path:
        """The same. Raises `ModelUnavailable` telling `what` needs which file."""
        path = self.find(files_below)
        if path is None:
            raise ModelUnavailable(f"{what} needs {self.file} in {self.folder}")
        return path


@dataclass(frozen=True)
class ModelLocations:
    """Those of all the networks."""

    blip: ModelLocation
    clip: ModelLocation
    danbooru: ModelLocation


def model_locations(models: Path, clip: Path | None) -> ModelLocations:
    """Below the folder of models; `clip` is the one that a flag names."""
    torch, either = (".pt", ".pth"), (".pt", ".pth", ".bin", ".safetensors")
    return ModelLocations(
        blip=ModelLocation(
            models / "BLIP", "model_base_caption_capfilt_large.pth", (*torch, ".safetensors")
        ),
        clip=ModelLocation(clip or models / "CLIP", "ViT-L-14.pt", either),
        danbooru=ModelLocation(models / "torch_deepdanbooru", "model-resnet_custom_v3.pt", torch),
    )
