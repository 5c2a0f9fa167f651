"""What this backend consists of, made as the flags say."""

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch

from adapters.gpu.torch_backend.devices import choose_device, choose_precision, use_threads
from adapters.gpu.torch_backend.engine import TorchInference
from adapters.gpu.torch_backend.loading import Precision
from adapters.gpu.torch_backend.upscale.catalogue import FilesBelow
from adapters.gpu.torch_backend.upscale.folders import upscaler_folders
from adapters.gpu.torch_backend.upscale.upscaler import TorchUpscaler
from application.ports.options import OptionsStore
from domain.flags import Flags


class TorchParts:
    """Its adapters, over one device that they take turns on. Nothing is loaded yet."""

    def __init__(
        self,
        flags: Flags,
        options: OptionsStore,
        *,
        files_below: FilesBelow,
        write: Callable[[Path, bytes], None],
    ) -> None:
        self._flags = flags
        self._options = options
        self._files_below = files_below
        self._write = write
        self._turn = threading.Lock()
        use_threads(flags.threads)

    @cached_property
    def inference(self) -> TorchInference:
        """Makes pictures."""
        return TorchInference(
            self._device,
            self._precision,
            cached_vaes=lambda: self._options.snapshot().integer("sd_vae_checkpoint_cache"),
            cached_loras=lambda: self._options.snapshot().integer("lora_in_memory_limit"),
            upscaler=self.upscaler,
            models=Path(self._flags.models_dir),
            turn=self._turn,
        )

    @cached_property
    def upscaler(self) -> TorchUpscaler:
        """Enlarges them."""
        flags = self._flags
        given = {
            "ESRGAN": Path(flags.text("esrgan_models_path")),
            "RealESRGAN": Path(flags.text("realesrgan_models_path")),
            "DAT": Path(flags.text("dat_models_path")),
            "SwinIR": Path(flags.text("swinir_models_path")),
            "ScuNET": Path(flags.text("scunet_models_path")),
        }
        return TorchUpscaler(
            upscaler_folders(Path(flags.models_dir), given),
            self._device,
            self._precision.unet,
            self._turn,
            files_below=self._files_below,
            write=self._write,
        )

    @property
    def _device(self) -> torch.device:
        flags = self._flags
        return choose_device(flags.text("device_id"), cpu="all" in flags.texts("use_cpu"))

    @property
    def _precision(self) -> Precision:
        flags = self._flags
        return choose_precision(
            self._device, no_half=flags.switch("no_half"), no_half_vae=flags.switch("no_half_vae")
        )
