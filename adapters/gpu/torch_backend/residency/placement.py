"""Low-memory modes: which of a checkpoint's networks are on the device while it is used.

With `Placement.NETWORKS` (`--medvram`) all networks are kept in RAM, and each one is copied to the
device when it is called. With `Placement.LAYERS` (`--lowvram`) the UNet is copied layer by layer.
See docs/adr/0016. Source: spec api.md 1, networks.md 1.4.
"""

import weakref
from enum import Enum
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.families.family import Family

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

RAM = torch.device("cpu")


class Placement(Enum):
    """How much of a checkpoint is on the device at once."""

    WHOLE = "whole"
    NETWORKS = "networks"
    LAYERS = "layers"


class DeviceSlot:
    """Holds one network at a time on a device.

    Calling an admitted network copies its weights and inputs to the device, and releases the one
    that was there before. RAM keeps the weights, so nothing is copied back. The caller holds the
    lock on the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._guest: weakref.ref[nn.Module] | None = None
        self._left: list[tuple[nn.Module, str, Tensor]] = []  # the guest's tensors in RAM

    def admit(self, network: nn.Module) -> None:
        """From now on, copy this network to the device when it is called. It must be in RAM."""

        def come(
            module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
        ) -> tuple[tuple[object, ...], dict[str, object]]:
            self._receive(module)
            return (
                tuple(self._brought(each) for each in args),
                {name: self._brought(each) for name, each in kwargs.items()},
            )

        network.register_forward_pre_hook(come, with_kwargs=True)

    def clear(self) -> None:
        """Remove the network that is on the device; its tensors in RAM take their place."""
        for module, name, kept in self._left:
            setattr(module, name, kept)
        self._left, self._guest = [], None

    def _receive(self, network: nn.Module) -> None:
        if self._guest is not None and self._guest() is network:
            return
        self.clear()
        self._guest = weakref.ref(network)
        for module in network.modules():
            own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            for name, tensor in own:
                self._left.append((module, name, tensor))
                setattr(module, name, _moved(tensor, self.device))

    def _brought(self, value: object) -> object:
        return value.to(self.device) if isinstance(value, Tensor) else value


class Placing:
    """The placement of each checkpoint's networks: `everywhere`, or `sdxl` for SDXL ones.

    `device` computes. Networks that are not placed there as a whole are loaded into `RAM`, and
    `settle` must be called before their first call.
    """

    def __init__(
        self,
        device: torch.device,
        everywhere: Placement = Placement.WHOLE,
        sdxl: Placement | None = None,
    ) -> None:
        self.device = device
        self.slot = DeviceSlot(device)
        self._everywhere = everywhere
        self._sdxl = sdxl or everywhere

    @property
    def two_places(self) -> bool:
        """Whether whole checkpoints move between the device's own memory and RAM."""
        return self.device.type != "cpu" and self._everywhere is Placement.WHOLE

    @property
    def takes_turns(self) -> bool:
        """Whether the networks of some checkpoints are copied to the device call by call."""
        return {self._everywhere, self._sdxl} != {Placement.WHOLE}

    def of(self, family: Family) -> Placement:
        """The placement of checkpoints of that family."""
        return self._sdxl if family.medvram_sdxl else self._everywhere

    def home(self, family: Family) -> torch.device:
        """The device that networks of that family are loaded to."""
        return self.device if self.of(family) is Placement.WHOLE else RAM

    def settle(self, model: LoadedCheckpoint) -> LoadedCheckpoint:
        """Prepare a checkpoint, loaded to its `home`, for its placement; returns it.

        With LAYERS the UNet stays in RAM, and each layer copies its weights to its input's device.
        The image encoders of SD2's relatives run once a job, in RAM.
        """
        placement = self.of(model.family)
        if placement is Placement.WHOLE:
            return model
        for encoder in model.text.encoders:
            self.slot.admit(encoder.model)
        if model.autoencoder is not None:
            self.settle_vae(model.autoencoder, model.family)
        if placement is Placement.NETWORKS:
            self.slot.admit(model.unet)
        return model

    def settle_vae(self, vae: "AutoencoderKL", family: Family) -> None:
        """`settle` for a VAE. Encoder and decoder are admitted separately; the small convolutions
        between them stay on the device."""
        if self.of(family) is Placement.WHOLE:
            return
        self.slot.admit(vae.encoder)
        self.slot.admit(vae.decoder)
        for small in (vae.quant_conv, vae.post_quant_conv):
            if small is not None:
                small.to(self.device)


def choose_placing(
    device: torch.device,
    *,
    medvram: bool = False,
    medvram_sdxl: bool = False,
    lowvram: bool = False,
) -> Placing:
    """The placement that the flags ask for; on the CPU all networks are placed whole."""
    if device.type == "cpu":
        return Placing(device)
    if lowvram:
        return Placing(device, Placement.LAYERS)
    if medvram:
        return Placing(device, Placement.NETWORKS)
    return Placing(device, sdxl=Placement.NETWORKS if medvram_sdxl else None)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of the tensor on `device`; a parameter if `tensor` is one."""
    there = tensor.detach().to(device)
    return nn.Parameter(there, False) if isinstance(tensor, nn.Parameter) else there
