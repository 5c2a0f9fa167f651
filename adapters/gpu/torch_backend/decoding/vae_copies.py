"""Copies of VAEs in another precision, for what overflows in their own.

Source: spec networks.md 1.6.
"""

import copy
import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.latents.vae import Retry
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

log = logging.getLogger(__name__)


class VaeCopies:
    """Keeps the copy made last.

    A VAE serves every job that uses its checkpoint, so its own precision is never changed: A1111
    changes it for good, and later pictures depend on what was drawn before them. Here every picture
    starts in the precision that the VAE was loaded in.

    A copy lies where its VAE does, and goes when its VAE goes. It is a cache of `Residency`'s: its
    bytes count on the device, and it is let go of when memory is short. Safe to use from many
    threads, if each holds the turn on the device while it asks for a copy.
    """

    def __init__(self, placing: Placing) -> None:
        self._placing = placing
        self._lock = threading.Lock()
        self._held: WeakKeyDictionary[AutoencoderKL, AutoencoderKL] = WeakKeyDictionary()

    def retry(self, dtype: torch.dtype | None) -> Retry | None:
        """What `decode` and `encode` try NaN again with; None if `dtype` is."""
        return None if dtype is None else lambda vae: self.of(vae, dtype)

    def of(self, vae: "AutoencoderKL", dtype: torch.dtype) -> "AutoencoderKL":
        """The VAE in that dtype: itself, or a copy that computes as it does. The caller holds the
        turn on the device."""
        if vae.dtype == dtype:
            return vae
        with self._lock:
            held = self._held.get(vae)
            if held is not None and held.dtype == dtype:
                return held
            self._held.clear()  # before there is one more
        del held
        log.warning(
            "a VAE overflowed in %s: trying again in %s (--no-half-vae spares the first try)",
            _name(vae.dtype),
            _name(dtype),
        )
        # A network that takes turns may be on the device for now; its copy begins in RAM.
        self._placing.slot.clear()
        made = copied(vae, dtype)
        with self._lock:
            self._held.clear()
            self._held[vae] = made
        return made

    def size(self) -> int:
        """Bytes of the one that is held."""
        with self._lock:
            held = list(self._held.values())
        return _size(held)

    def drop(self) -> int:
        """Let go of it; returns its bytes, unless somebody computes with it."""
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
        size, left = _size(held), [weakref.ref(vae) for vae in held]
        held.clear()
        gc.collect()
        return size - _size([vae for each in left if (vae := each())])


@torch.inference_mode(False)
def copied(vae: "AutoencoderKL", dtype: torch.dtype) -> "AutoencoderKL":
    """A VAE with parameters of its own in another dtype, each where the other's is; all else, hooks
    and attention processors among it, as in the other. That one is only read."""
    parameters = {
        id(each): nn.Parameter(each.detach().to(dtype), requires_grad=False)
        for each in vae.parameters()
    }
    return copy.deepcopy(vae, dict(parameters))


def _size(vaes: "list[AutoencoderKL]") -> int:
    return bytes_of(tensor for vae in vaes for tensor in vae.parameters())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
