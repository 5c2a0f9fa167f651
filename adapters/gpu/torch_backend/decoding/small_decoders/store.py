"""`SmallDecoders`: finds, loads and keeps the small networks for a checkpoint's latents.

Source: spec images.md 14.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.approximation import (
    build_approximation,
)
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.taesd import (
    build_decoder,
    build_encoder,
)
from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights, read_weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb, latent_rgb_in
from hexfusion.domain.errors import CheckpointError, ModelUnavailable

Build = Callable[[StateDict, str, int], nn.Module]
_Stamp = tuple[int, int]

#: Latent channels of the network that is shipped.
_SHIPPED_CHANNELS = 4
_SUFFIXES = (".pth", ".safetensors")

_BUILDERS: Mapping[str, Build] = {"decoder": build_decoder, "encoder": build_encoder}

log = logging.getLogger(__name__)


class SmallDecoders:
    """Loads small networks and keeps all of them, as they are small.

    Files are looked up at each call; one that changed is read again. Safe to use from many threads.
    """

    def __init__(self, models: Path | None, device: torch.device, dtype: torch.dtype) -> None:
        """`models` is the folder of models; None leaves only the network that is shipped."""
        self._models = models
        self._device = device
        self._dtype = dtype
        self._loading = threading.Lock()
        self._lock = threading.Lock()  # for the attributes below; never held while a file is loaded
        self._held: dict[Path, tuple[_Stamp, nn.Module | CheckpointError]] = {}
        self._shipped: tuple[LatentRgb, nn.Module] | None = None

    def approximation(self, model: LoadedCheckpoint) -> nn.Module | None:
        """The network of "Approx NN" for the model's latents, None if there is none.

        A file that cannot be used is logged once and counts as none, as previews raise no errors.
        """
        if model.latent_rgb is not None:
            own, network = self._starters()
            return network if own == model.latent_rgb else None
        latents = model.family.latents
        for name in latents.approximations:
            if self._models and (path := self._models / name).is_file():
                try:
                    return self._get(path, build_approximation, latents.channels)
                except CheckpointError as error:
                    log.debug("%s", error)
                    return None
        return None

    def taesd(self, model: LoadedCheckpoint, part: str) -> nn.Module:
        """TAESD's "decoder" or "encoder" (`part`) for the model's latents.

        Raises `ModelUnavailable`, naming the missing file and its folder, and `CheckpointError` for
        one that cannot be used.
        """
        if model.latent_rgb is not None:
            raise ModelUnavailable(
                f"TAESD is for the latents of SD1, SD2 and SDXL; {Path(model.file).name} has others"
            )
        latents = model.family.latents
        name = latents.taesd.format(part)
        for suffix in _SUFFIXES:
            if self._models and (path := self._models / f"{name}{suffix}").is_file():
                return self._get(path, _BUILDERS[part], latents.channels)
        folder = self._models or Path("models")
        raise ModelUnavailable(f"TAESD is not installed: put its file at {folder / name}.pth")

    def size(self) -> int:
        """Bytes of the networks that are kept."""
        with self._lock:
            held = self._networks()
        return _bytes(held)

    def drop(self) -> int:
        """Drop them all; returns their bytes."""
        with self._lock:
            held = self._networks()
            self._held.clear()
            self._shipped = None
        return _bytes(held)

    def _networks(self) -> list[nn.Module]:
        """The networks that are kept. Call with `_lock` held."""
        held = [network for _, network in self._held.values() if isinstance(network, nn.Module)]
        return held + ([self._shipped[1]] if self._shipped else [])

    def _get(self, path: Path, build: Build, channels: int) -> nn.Module:
        with self._loading:
            stamp = _stamp(path)
            with self._lock:
                held = self._held.get(path)
            if held is None or held[0] != stamp:
                held = stamp, self._load(path, build, channels)
                with self._lock:
                    self._held[path] = held
        if isinstance(held[1], CheckpointError):
            raise held[1]
        return held[1]

    def _load(self, path: Path, build: Build, channels: int) -> nn.Module | CheckpointError:
        try:
            return self._placed(read_weights(path, mmap=False), build, channels)
        except CheckpointError as error:
            log.warning("%s", error)
            return error

    def _placed(self, weights: Weights, build: Build, channels: int) -> nn.Module:
        network = build(weights.tensors, weights.file, channels)
        return network.to(self._device, self._dtype)

    def _starters(self) -> tuple[LatentRgb, nn.Module]:
        """The shipped Approx NN, and the colour map of the latents it is for."""
        with self._loading:
            with self._lock:
                shipped = self._shipped
            if shipped is None:
                package = "hexfusion.adapters.gpu.torch_backend.decoding.small_decoders"
                with as_file(files(package) / "starter.safetensors") as path:
                    weights = read_weights(path, mmap=False)
                latents = latent_rgb_in(weights.metadata, _SHIPPED_CHANNELS)
                assert latents is not None, "the shipped file says whose latents it is for"
                network = self._placed(weights, build_approximation, _SHIPPED_CHANNELS)
                shipped = latents, network
                with self._lock:
                    self._shipped = shipped
            return shipped


def _bytes(networks: Iterable[nn.Module]) -> int:
    return bytes_of(tensor for network in networks for tensor in network.parameters())


def _stamp(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise CheckpointError(str(path), message) from error
    return stat.st_mtime_ns, stat.st_size
