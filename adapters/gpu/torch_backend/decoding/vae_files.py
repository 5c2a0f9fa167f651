"""Loading and caching VAEs from separate files. Source: spec networks.md 1.6."""

import gc
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.builders import build_vae, vae_tensor_names
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    VAE,
    Shapes,
    VaeArchitecture,
    infer_vae,
)
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.families.architecture import check_vae
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights, read_weights
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import prepare_vae
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.geometry import CELL
from hexfusion.domain.vaes import VaeFile

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

#: Names of training leftovers in the files, which are ignored.
_LOSS = "loss"
_COUNTERS = ("model_ema.decay", "model_ema.num_updates")

_Key = tuple[str, int, int, VaeArchitecture | None]


class VaeFiles:
    """Loads VAEs from files, and keeps those used last.

    A checkpoint's own VAE is never overwritten, so jobs with different VAEs can run at once.
    `cached()` (option `sd_vae_checkpoint_cache`) is how many to keep besides the one last used.
    Jobs keep references to the VAEs they use. Safe to use from many threads.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        *,
        cached: Callable[[], int] = lambda: 0,
        placing: Placing | None = None,
    ) -> None:
        self._dtype = dtype
        self._cached = cached
        self._placing = placing or Placing(device)
        self._loading = threading.Lock()
        self._lock = threading.Lock()  # for `_held`; never held while a file is loaded
        self._held: OrderedDict[_Key, AutoencoderKL] = OrderedDict()

    def get(self, vae: VaeFile | None, model: LoadedCheckpoint) -> "AutoencoderKL | None":
        """The VAE in that file for this checkpoint; for None the checkpoint's own, if it has one.

        It is loaded if it is not kept or the file changed. Raises `CheckpointError` naming file and
        tensor; kept VAEs are then unchanged.
        """
        if vae is None:
            return model.autoencoder
        path = Path(vae.filename)
        with self._loading:
            key, kept = _key(path, model), 1 + max(0, self._cached())
            with self._lock:
                found = self._held.get(key)
            loaded = self._load(path, model) if found is None else found
            with self._lock:
                self._held[key] = loaded
                self._held.move_to_end(key)
                while len(self._held) > kept:
                    self._held.popitem(last=False)
            return loaded

    def _load(self, path: Path, model: LoadedCheckpoint) -> "AutoencoderKL":
        vae = load_vae(path, model, self._placing.home(model.family), self._dtype)
        self._placing.settle_vae(vae, model.family)
        return vae

    def size(self) -> int:
        """Bytes of the VAEs that are kept."""
        with self._lock:
            held = list(self._held.values())
        return bytes_of(each for vae in held for each in vae.parameters())

    def drop(self) -> int:
        """Drop them all; returns the bytes freed, without VAEs that jobs still use."""
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
        size = bytes_of(each for vae in held for each in vae.parameters())
        left = [weakref.ref(vae) for vae in held]
        held.clear()
        gc.collect()
        alive = [vae for each in left if (vae := each())]
        return size - bytes_of(each for vae in alive for each in vae.parameters())


def load_vae(
    path: Path, model: LoadedCheckpoint, device: torch.device, dtype: torch.dtype
) -> "AutoencoderKL":
    """Load the autoencoder in a file, which must have the same tensors as the checkpoint's.

    For a checkpoint without a VAE, any is taken that decodes its latents to pictures of 8 times
    their sides. Tensors have the original (LDM) names without a prefix; training leftovers are
    ignored. The network is prepared for tweaks. Raises `CheckpointError` naming the file and the
    tensor that is missing, misshapen or superfluous.
    """
    weights = read_weights(path)
    tensors = {name: weights[name] for name in weights if not _is_left_over(name)}
    placed = Weights(weights.file, {VAE + name: tensor for name, tensor in tensors.items()})
    try:
        architecture = model.architecture.vae or _architecture(placed, model.family)
        known = vae_tensor_names(architecture)
        for name in tensors:
            if name not in known:
                raise CheckpointError(
                    weights.file, f"has no place in the VAE of {model.file}", name
                )
        vae = build_vae(architecture, placed, device, dtype)
    except CheckpointError as error:
        tensor = error.tensor and error.tensor.removeprefix(VAE)
        raise CheckpointError(error.file, error.message, tensor) from None
    prepare_vae(vae)
    return vae


def _architecture(weights: Weights, family: Family) -> VaeArchitecture:
    found = infer_vae(Shapes(weights.file, weights.shapes()))
    check_vae(weights.file, found, family)
    factor = 2 ** (len(found.channels) - 1)
    if factor != CELL:
        raise CheckpointError(
            weights.file, f"is a VAE that makes sides {factor} times smaller, not {CELL} times"
        )
    return found


def _is_left_over(name: str) -> bool:
    return name.startswith(_LOSS) or name in _COUNTERS


def _key(path: Path, model: LoadedCheckpoint) -> _Key:
    try:
        stat = path.stat()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise CheckpointError(str(path), message) from error
    return str(path), stat.st_mtime_ns, stat.st_size, model.architecture.vae
