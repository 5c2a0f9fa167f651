"""`TorchParts`: this backend's adapters, configured by the command-line flags."""

import threading
from functools import cached_property
from pathlib import Path

import torch

from hexfusion.adapters.gpu.parts import Files
from hexfusion.adapters.gpu.torch_backend.devices import (
    THREADS,
    choose_device,
    total_memory,
    total_ram,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.faces.catalogue import FaceCatalogue
from hexfusion.adapters.gpu.torch_backend.faces.restorer import TorchFaceRestorer
from hexfusion.adapters.gpu.torch_backend.interrogate.interrogator import TorchInterrogator
from hexfusion.adapters.gpu.torch_backend.interrogate.model_locations import model_locations
from hexfusion.adapters.gpu.torch_backend.precision import Precision, choose_precision
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing, choose_placing
from hexfusion.adapters.gpu.torch_backend.upscale.folders import upscaler_folders
from hexfusion.adapters.gpu.torch_backend.upscale.upscaler import TorchUpscaler
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, GFPGAN
from hexfusion.domain.flags import Flags


class TorchParts:
    """The backend's adapters. They share the lock on the device; nothing is loaded yet."""

    def __init__(self, flags: Flags, options: OptionsStore, files: Files, /) -> None:
        self._flags = flags
        self._options = options
        self._files = files
        self._turn = threading.Lock()
        THREADS.use(flags.threads)

    @cached_property
    def inference(self) -> TorchInference:
        """Generates pictures."""
        return TorchInference(
            self._device,
            self._precision,
            cached_vaes=lambda: self._options.snapshot().integer("sd_vae_checkpoint_cache"),
            cached_loras=lambda: self._options.snapshot().integer("lora_in_memory_limit"),
            limits=self._limits,
            caches=(self.upscaler, self.faces, self.interrogator),
            upscaler=self.upscaler,
            models=Path(self._flags.models_dir),
            placing=self._placing,
            turn=self._turn,
        )

    @cached_property
    def upscaler(self) -> TorchUpscaler:
        """Upscales pictures."""
        flags = self._flags
        given = {
            "ESRGAN": Path(flags.text("esrgan_models_path")),
            "RealESRGAN": Path(flags.text("realesrgan_models_path")),
            "DAT": Path(flags.text("dat_models_path")),
            "SwinIR": Path(flags.text("swinir_models_path")),
            "ScuNET": Path(flags.text("scunet_models_path")),
        }
        device = self._device_for("esrgan")
        return TorchUpscaler(
            upscaler_folders(Path(flags.models_dir), given),
            device,
            self._precision_on(device).unet,
            self._turn,
            files_below=self._files.below,
            write=self._files.write,
            free=lambda: self.inference.free(),
        )

    def _limits(self) -> MemoryLimits:
        """The limits on checkpoints, by the current options (spec networks.md 1.5)."""
        options, (device, ram) = self._options.snapshot(), self._budgets
        return MemoryLimits(
            count=options.integer("sd_checkpoints_limit"),
            cached=options.integer("sd_checkpoint_cache"),
            only_last=options.flag("sd_checkpoints_keep_in_cpu"),
            device=device,
            ram=ram,
        )

    @cached_property
    def _budgets(self) -> tuple[int, int]:
        """Bytes that models may take on the device and in RAM."""
        device, ram = self._flags.integer("model_vram"), self._flags.integer("model_ram")
        return (
            device << 20 or total_memory(self._device) * 3 // 4,
            ram << 20 or total_ram() // 2,
        )

    @cached_property
    def interrogator(self) -> TorchInterrogator:
        """Captions and tags pictures."""
        flags = self._flags
        given = flags.text("clip_models_path")
        device = self._device_for("interrogate")
        return TorchInterrogator(
            model_locations(Path(flags.models_dir), Path(given) if given else None),
            self._files.captioner,
            device,
            self._precision_on(device).unet,
            self._turn,
            files_below=self._files.below,
            free=lambda: self.inference.free(),
        )

    @cached_property
    def faces(self) -> TorchFaceRestorer:
        """Restores faces in pictures."""
        flags = self._flags
        folders = {
            CODEFORMER: [Path(flags.text("codeformer_models_path"))],
            GFPGAN: [Path(flags.text(dest)) for dest in ("gfpgan_models_path", "gfpgan_dir")],
        }
        catalogue = FaceCatalogue(folders, self._files.below, flags.text("gfpgan_model"))
        devices = {name: self._device_for(name.lower()) for name in FACE_RESTORERS}
        return TorchFaceRestorer(catalogue, devices, self._turn, free=lambda: self.inference.free())

    @property
    def _device(self) -> torch.device:
        return self._device_for("sd")

    def _device_for(self, task: str) -> torch.device:
        """The CPU, if `--use-cpu` names the task or all of them."""
        flags = self._flags
        named = {"all", task} & set(flags.texts("use_cpu"))
        return choose_device(flags.text("device_id"), cpu=bool(named))

    @property
    def _precision(self) -> Precision:
        return self._precision_on(self._device)

    def _precision_on(self, device: torch.device) -> Precision:
        flags = self._flags
        return choose_precision(
            device,
            no_half=flags.switch("no_half"),
            no_half_vae=flags.switch("no_half_vae"),
            precision=flags.text("precision"),
        )

    @cached_property
    def _placing(self) -> Placing:
        flags = self._flags
        return choose_placing(
            self._device,
            medvram=flags.switch("medvram"),
            medvram_sdxl=flags.switch("medvram_sdxl"),
            lowvram=flags.switch("lowvram"),
        )
