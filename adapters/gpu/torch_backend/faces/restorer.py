"""`TorchFaceRestorer`: the face restoration port on torch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image, fromarray
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.computing_threads import by_computing_thread
from hexfusion.adapters.gpu.torch_backend.faces.alignment import alignment
from hexfusion.adapters.gpu.torch_backend.faces.catalogue import FaceCatalogue, FaceFiles
from hexfusion.adapters.gpu.torch_backend.faces.codeformer import CodeFormer
from hexfusion.adapters.gpu.torch_backend.faces.detection import find_faces
from hexfusion.adapters.gpu.torch_backend.faces.face_network import (
    FaceNetwork,
    FaceTensors,
    build,
    read_face_tensors,
)
from hexfusion.adapters.gpu.torch_backend.faces.gfpgan import Gfpgan, noise_of
from hexfusion.adapters.gpu.torch_backend.faces.parsenet import ParseNet
from hexfusion.adapters.gpu.torch_backend.faces.restoration import (
    FaceFunction,
    Patch,
    extract_face,
    face_share,
    paste_faces,
    restored_face,
)
from hexfusion.adapters.gpu.torch_backend.faces.retinaface import RetinaFace
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import NotANumber
from hexfusion.domain.faces import GFPGAN, FaceRestoration


class TorchFaceRestorer:
    """`FaceRestorer` with the files of `catalogue`, in float32 as in A1111.

    `devices` maps each restorer to its device, `turn` is the lock on the device. Loaded networks
    stay in memory, and on their device unless a job asks to unload them. `free` is called when
    memory runs out, and returns the bytes it freed. Safe to use from many threads.
    """

    def __init__(
        self,
        catalogue: FaceCatalogue,
        devices: Mapping[str, torch.device],
        turn: threading.Lock,
        free: Callable[[], int] = lambda: 0,
    ) -> None:
        self._catalogue = catalogue
        self._devices = devices
        self._turn = turn
        self._free = free
        self._loading = threading.Lock()
        self._held: dict[Path, tuple[int, FaceNetwork]] = {}

    def list(self) -> Sequence[str]:
        """See `FaceRestorer.list`."""
        return self._catalogue.usable()

    def check(self, model: str) -> None:
        """See `FaceRestorer.check`."""
        self._catalogue.find(model)

    @by_computing_thread
    def restore(
        self, picture: Image, how: FaceRestoration, *, seed: int = 0, advance: Advance = go_on
    ) -> Image:
        """See `FaceRestorer.restore`."""
        files = self._catalogue.find(how.model)
        try:
            pixels = np.array(picture.convert("RGB"))
            restored = with_memory(
                f"restoring faces by {how.model}",
                lambda: self._restored(pixels, how, files, seed, advance),
                self._free,
            )
            return fromarray(restored)
        finally:
            if how.unload:
                self._unload()

    def size(self) -> int:
        """Bytes of the loaded networks."""
        return sum(bytes_of(network.parameters()) for _, network in list(self._held.values()))

    def drop(self) -> int:
        """Drop the loaded networks; returns their bytes."""
        with self._loading:
            size = self.size()
            self._held.clear()
        return size

    def _restored(
        self,
        pixels: np.ndarray,
        how: FaceRestoration,
        files: FaceFiles,
        seed: int,
        advance: Advance,
    ) -> np.ndarray:
        device = self._devices[how.model]
        ways = [
            alignment(face.landmarks) for face in find_faces(pixels, self._detector(files, device))
        ]
        believed = [way for way in ways if way is not None]
        if not believed:
            return pixels
        restore = self._network(how, files, device, seed)
        parse = self._called(files.parser, ParseNet, device)
        patches: list[Patch] = []
        for way in believed:
            face = restored_face(extract_face(pixels, way), restore)
            patches.append(Patch(face, face_share(face, parse), way))
            if advance(len(patches), len(believed)) is not Verdict.CONTINUE:
                break
        return paste_faces(pixels, patches)

    def _network(
        self, how: FaceRestoration, files: FaceFiles, device: torch.device, seed: int
    ) -> FaceFunction:
        if how.model == GFPGAN:
            return self._called(files.network, Gfpgan, device, noise_of(seed, device))
        return self._called(files.network, CodeFormer, device, how.weight)

    def _detector(
        self, files: FaceFiles, device: torch.device
    ) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
        network = self._loaded(files.detector, RetinaFace)

        def detect(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            with self._turn, torch.inference_mode():
                scores, boxes, landmarks = network.to(device)(x.to(device))
                scores, boxes, landmarks = scores.cpu(), boxes.cpu(), landmarks.cpu()
            if scores.isnan().any():
                raise NotANumber("the face detector yields NaN; is its file damaged?")
            return scores, boxes, landmarks

        return detect

    def _called(
        self,
        file: Path,
        make: Callable[[FaceTensors], FaceNetwork],
        device: torch.device,
        *more: object,
    ) -> FaceFunction:
        """The network of that file as a function on the CPU that takes the lock for each call."""
        network = self._loaded(file, make)

        def call(x: Tensor) -> Tensor:
            with self._turn, torch.inference_mode():
                return network.to(device)(x.to(device), *more).cpu()

        return call

    def _loaded(self, file: Path, make: Callable[[FaceTensors], FaceNetwork]) -> FaceNetwork:
        """The network, loaded if it is not held or its file changed. Raises `CheckpointError`."""
        with self._loading:
            changed = file.stat().st_mtime_ns
            held = self._held.get(file)
            if held is None or held[0] != changed:
                held = changed, build(read_face_tensors(file), make)
                self._held[file] = held
            return held[1]

    def _unload(self) -> None:
        """Move all networks to the CPU; a running job moves those it needs back."""
        with self._turn:
            for _, network in list(self._held.values()):
                network.to("cpu")
