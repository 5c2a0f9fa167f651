"""Finding the model files of face restoration in their folders. Source: spec images.md 11."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.domain.errors import ModelUnavailable, NotFound
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, GFPGAN

_ENDINGS = (".pth", ".safetensors")
DETECTOR, PARSER = "detection_Resnet50_Final", "parsing_parsenet"

#: Names of the networks' published files, without their ending.
PUBLISHED = {CODEFORMER: "codeformer-v0.1.0", GFPGAN: "GFPGANv1.4"}


@dataclass(frozen=True)
class FaceFiles:
    """The three files that a restorer works with."""

    network: Path
    detector: Path
    parser: Path


class FaceCatalogue:
    """Finds the files of each restorer. The folders are read at each call, as files may change.

    `folders` maps a restorer to its folders, the first taking precedence; GFPGAN's also hold the
    detector and the parser. `gfpgan_model` is the path of GFPGAN's file, absolute or in a folder.
    """

    def __init__(
        self,
        folders: Mapping[str, Sequence[Path]],
        files_below: FilesBelow,
        gfpgan_model: str | None = None,
    ) -> None:
        self._folders = folders
        self._files_below = files_below
        self._gfpgan_model = gfpgan_model

    def usable(self) -> list[str]:
        """Names of the restorers that have all their files."""
        return [name for name in FACE_RESTORERS if not self._missing(name)]

    def find(self, model: str) -> FaceFiles:
        """The files of the restorer `model`.

        Raises `NotFound` for an unknown one, `ModelUnavailable` naming each missing file and the
        folder to put it in.
        """
        if model not in FACE_RESTORERS:
            raise NotFound("face restorer", model)
        network = self._network(model)
        detector, parser = self._helper(DETECTOR), self._helper(PARSER)
        if network is None or detector is None or parser is None:
            raise ModelUnavailable(f"{model} needs {' and '.join(self._missing(model))}")
        return FaceFiles(network, detector, parser)

    def _missing(self, model: str) -> list[str]:
        """The missing files, for an error message."""
        lacking = []
        if self._network(model) is None:
            name = f"{PUBLISHED[model]}.pth"
            if model == GFPGAN and self._gfpgan_model:
                name = self._gfpgan_model
            lacking.append(f"{name} in {self._folders[model][0]}")
        helpers = [f"{stem}.pth" for stem in (DETECTOR, PARSER) if self._helper(stem) is None]
        if helpers:
            lacking.append(f"{' and '.join(helpers)} in {self._folders[GFPGAN][0]}")
        return lacking

    def _network(self, model: str) -> Path | None:
        if model == CODEFORMER:
            return next(self._weights(CODEFORMER), None)
        if self._gfpgan_model:
            return self._chosen(self._gfpgan_model)
        return next((path for path in self._weights(GFPGAN) if "GFPGAN" in path.name), None)

    def _chosen(self, name: str) -> Path | None:
        folders = (
            folder / name for folder in self._folders[GFPGAN]
        )  # an absolute name stands alone
        return next((path for path in folders if path.is_file()), None)

    def _helper(self, stem: str) -> Path | None:
        return next((path for path in self._weights(GFPGAN) if path.stem == stem), None)

    def _weights(self, model: str) -> Iterator[Path]:
        for folder in self._folders[model]:
            yield from self._files_below(folder, lambda name: name.endswith(_ENDINGS))
