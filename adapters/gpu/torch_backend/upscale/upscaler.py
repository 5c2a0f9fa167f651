"""`TorchUpscaler`: the upscaling port on torch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from PIL.Image import Image

from hexfusion.adapters.gpu.torch_backend.computing_threads import by_computing_thread
from hexfusion.adapters.gpu.torch_backend.files.folders import FilesBelow
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.adapters.gpu.torch_backend.upscale.catalogue import Catalogue, UpscalerSource
from hexfusion.adapters.gpu.torch_backend.upscale.loading import load_network
from hexfusion.adapters.gpu.torch_backend.upscale.packaged import read_packaged
from hexfusion.adapters.gpu.torch_backend.upscale.tiled import run_in_tiles, run_whole
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import UpscalingNetwork
from hexfusion.application.pictures.tiles import by_tiles
from hexfusion.application.pictures.upscaling import PLAIN, PlainUpscaler, Stoppable, upscale
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.errors import CheckpointError, InvalidRequest, NotANumber
from hexfusion.domain.upscalers import PLAIN_UPSCALERS, UpscalerModel, UpscaleSettings

#: Pixels of a network's output at most: 768 MiB at 8 bits per channel.
MAX_PIXELS = 16384 * 16384
#: Families whose networks A1111 runs in half precision where the checkpoint's are.
_HALF = frozenset({"RealESRGAN", "DAT", "SwinIR"})


class TorchUpscaler:
    """`Upscaler` on one device, with the networks in `folders` (by family).

    The network used last stays in memory. `dtype` is that of half-precision families; `turn` is the
    lock on the device. `write` writes a file atomically. `free` is called when memory runs out, and
    returns the bytes it freed. Safe to use from many threads.
    """

    def __init__(
        self,
        folders: Mapping[str, Sequence[Path]],
        device: torch.device,
        dtype: torch.dtype,
        turn: threading.Lock,
        *,
        files_below: FilesBelow,
        write: Callable[[Path, bytes], None],
        free: Callable[[], int] = lambda: 0,
    ) -> None:
        self._catalogue = Catalogue(folders, files_below)
        self._device = device
        self._dtype = dtype
        self._turn = turn
        self._write = write
        self._plain = PlainUpscaler()
        self._loading = threading.Lock()
        self._free = free
        self._held: tuple[tuple[Path, int], UpscalingNetwork] | None = None
        self._size = 0

    def list(self, settings: UpscaleSettings) -> Sequence[UpscalerModel]:
        """See `Upscaler.list`."""
        return (*PLAIN_UPSCALERS, *(each.model for each in self._catalogue.sources(settings)))

    def check(self, name: str, settings: UpscaleSettings) -> None:
        """See `Upscaler.check`."""
        if name not in PLAIN:
            self._catalogue.find(name, settings)

    @by_computing_thread
    def upscale(
        self,
        picture: Image,
        factor: float,
        name: str,
        settings: UpscaleSettings,
        advance: Advance = go_on,
    ) -> Image:
        """See `Upscaler.upscale`."""
        if name in PLAIN:
            return self._plain.upscale(picture, factor, name, settings)
        source = self._catalogue.find(name, settings)
        network = with_memory(f"the upscaler {name}", lambda: self._network(source), self._free)
        listening = Stoppable(advance)

        def enlarge(image: Image, factor: float) -> Image:
            task = f"a picture {factor:g} times {image.width}x{image.height} by {name}"
            return with_memory(
                task,
                lambda: self._enlarged(source.family, network, image, settings, listening),
                self._free,
            )

        try:
            return upscale(picture.convert("RGB"), factor, enlarge, lambda: listening.stopped)
        except NotANumber as error:
            raise NotANumber(f"{source.file.name}: {error}") from error

    def size(self) -> int:
        """Bytes of the network that is kept."""
        return self._size if self._held else 0

    def drop(self) -> int:
        """Drop it; returns its bytes."""
        with self._loading:
            size, self._held = self.size(), None
        return size

    def _enlarged(
        self,
        family: str,
        network: UpscalingNetwork,
        image: Image,
        settings: UpscaleSettings,
        advance: Advance,
    ) -> Image:
        """Run the network over a picture once (spec images.md 9.3 and 9.4).

        Raises `InvalidRequest` for one that is too large.
        """
        if image.width * image.height * network.scale**2 > MAX_PIXELS:
            size, sides = "{}x{}".format(*image.size), f"{network.scale} times its sides"
            message = f"{size} is too large for a network that makes {sides}"
            raise InvalidRequest("image", message)
        if family in ("SwinIR", "ScuNET"):
            tiling = settings.swinir if family == "SwinIR" else settings.scunet
            return run_in_tiles(network, image, tiling, self._turn, advance)
        tiling = settings.dat if family == "DAT" else settings.esrgan
        return by_tiles(image, tiling, lambda tile: run_whole(network, tile, self._turn), advance)

    def _network(self, source: UpscalerSource) -> UpscalingNetwork:
        """The network, loaded if it is not held or its file changed.

        Raises `CheckpointError`; the network held before is then kept.
        """
        with self._loading:
            if source.packaged and not source.file.exists():
                self._convert(source.packaged, source.file)
            try:
                key = source.file, source.file.stat().st_mtime_ns
            except OSError as error:
                message = f"cannot be read: {error.strerror or error}"
                raise CheckpointError(str(source.file), message) from error
            if self._held is None or self._held[0] != key:
                built = load_network(source.file)
                half = source.family in _HALF
                self._held = key, built.on(self._device, self._dtype if half else torch.float32)
                self._size = bytes_of(built.module.parameters())
            return self._held[1]

    def _convert(self, packaged: Path, file: Path) -> None:
        from safetensors.torch import save

        self._write(file, save(read_packaged(packaged)))
