"""Where a checkpoint's networks lie when the device has too little memory for all of them.

They are kept in RAM. `Placement.NETWORKS` (`--medvram`) has the one that computes on the device,
`Placement.LAYERS` (`--lowvram`) of the UNet no more than one layer's weights at a time. See
docs/adr/0016. Source: spec api.md 1, networks.md 1.4.
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


class OnePlace:
    """Room on a device for one network at a time.

    A network that is admitted comes when it is called, and its inputs with it; the one that was
    there leaves. RAM keeps the weights meanwhile, so nothing is copied back. Whoever calls holds
    the turn on the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._guest: weakref.ref[nn.Module] | None = None
        self._left: list[tuple[nn.Module, str, Tensor]] = []  # what RAM has of the guest

    def admit(self, network: nn.Module) -> None:
        """From now on it comes when it is called; until then it lies in RAM."""

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
        """Whoever is there leaves."""
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
    """How this backend places networks: `everywhere`, and if need be otherwise those of SDXL.

    `device` computes. Networks that are not to lie there as a whole are loaded into `RAM` and
    settled before their first call.
    """

    def __init__(
        self,
        device: torch.device,
        everywhere: Placement = Placement.WHOLE,
        sdxl: Placement | None = None,
    ) -> None:
        self.device = device
        self.there = OnePlace(device)
        self._everywhere = everywhere
        self._sdxl = sdxl or everywhere

    @property
    def two_places(self) -> bool:
        """Whether checkpoints lie on the device as a whole, or else wait in a memory of its own."""
        return self.device.type != "cpu" and self._everywhere is Placement.WHOLE

    @property
    def takes_turns(self) -> bool:
        """Whether networks of any checkpoint come to the device one after the other."""
        return {self._everywhere, self._sdxl} != {Placement.WHOLE}

    def of(self, family: Family) -> Placement:
        """Of a checkpoint of that family."""
        return self._sdxl if family.medvram_sdxl else self._everywhere

    def home(self, family: Family) -> torch.device:
        """Where such a checkpoint's networks are loaded to."""
        return self.device if self.of(family) is Placement.WHOLE else RAM

    def settle(self, model: LoadedCheckpoint) -> LoadedCheckpoint:
        """Have the networks of a checkpoint, loaded to its `home`, take turns on the device.

        With LAYERS the UNet stays: its layers take their weights to where their inputs are. What
        looks at pictures for SD2's relatives is asked once a job, and computes in RAM.
        """
        placement = self.of(model.family)
        if placement is Placement.WHOLE:
            return model
        for encoder in model.text.encoders:
            self.there.admit(encoder.model)
        self.settle_vae(model.vae, model.family)
        if placement is Placement.NETWORKS:
            self.there.admit(model.unet)
        return model

    def settle_vae(self, vae: "AutoencoderKL", family: Family) -> None:
        """The same for a VAE, which is two networks; what lies between them is small, and stays on
        the device."""
        if self.of(family) is Placement.WHOLE:
            return
        self.there.admit(vae.encoder)
        self.there.admit(vae.decoder)
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
    """What the flags ask for. Where the CPU computes, RAM is the device, and nothing moves."""
    if device.type == "cpu":
        return Placing(device)
    if lowvram:
        return Placing(device, Placement.LAYERS)
    if medvram:
        return Placing(device, Placement.NETWORKS)
    return Placing(device, sdxl=Placement.NETWORKS if medvram_sdxl else None)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy there, and a parameter if it is one."""
    there = tensor.detach().to(device)
    return nn.Parameter(there, False) if isinstance(tensor, nn.Parameter) else there
