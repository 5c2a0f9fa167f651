"""Copies of VAEs in a wider precision, for pictures that overflow in the VAE's own.

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
    """Makes copies of VAEs in another dtype, and keeps the last one.

    A VAE is shared by all jobs that use its checkpoint, so its own dtype is never changed. (A1111
    changes it permanently, so that later pictures depend on earlier ones.) Here every picture is
    first tried in the dtype that the VAE was loaded in.

    A copy is on its VAE's device, and is freed with its VAE. This is a `Cache` of `Residency`: the
    copy's bytes count, and it is dropped when memory is short. Safe to use from many threads, if
    each holds the device's lock while it gets a copy.
    """

    def __init__(self, placing: Placing) -> None:
        self._placing = placing
        self._lock = threading.Lock()
        self._held: WeakKeyDictionary[AutoencoderKL, AutoencoderKL] = WeakKeyDictionary()

    def retry(self, dtype: torch.dtype | None) -> Retry | None:
        """The `retry` argument of `decode` and `encode`, for copies in `dtype`; None for None."""
        return None if dtype is None else lambda vae: self.of(vae, dtype)

    def of(self, vae: "AutoencoderKL", dtype: torch.dtype) -> "AutoencoderKL":
        """The VAE in that dtype: itself or a copy. The caller holds the device's lock."""
        if vae.dtype == dtype:
            return vae
        with self._lock:
            held = self._held.get(vae)
            if held is not None and held.dtype == dtype:
                return held
            self._held.clear()  # before another is allocated
        del held
        log.warning(
            "a VAE overflowed in %s: trying again in %s (--no-half-vae spares the first try)",
            _name(vae.dtype),
            _name(dtype),
        )
        # In low-memory modes the VAE may be on the device for now; its copy must start in RAM.
        self._placing.slot.clear()
        made = copied(vae, dtype)
        with self._lock:
            self._held.clear()
            self._held[vae] = made
        return made

    def size(self) -> int:
        """Bytes of the copy that is kept."""
        with self._lock:
            held = list(self._held.values())
        return _size(held)

    def drop(self) -> int:
        """Drop the copy; returns the bytes freed, 0 if a job still uses it."""
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
        size, left = _size(held), [weakref.ref(vae) for vae in held]
        held.clear()
        gc.collect()
        return size - _size([vae for each in left if (vae := each())])


@torch.inference_mode(False)
def copied(vae: "AutoencoderKL", dtype: torch.dtype) -> "AutoencoderKL":
    """A copy of a VAE with its parameters in another dtype, each on its original's device.

    Hooks and attention processors are copied too. The original is only read.
    """
    parameters = {
        id(each): nn.Parameter(each.detach().to(dtype), requires_grad=False)
        for each in vae.parameters()
    }
    return copy.deepcopy(vae, dict(parameters))


def _size(vaes: "list[AutoencoderKL]") -> int:
    return bytes_of(tensor for vae in vaes for tensor in vae.parameters())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
