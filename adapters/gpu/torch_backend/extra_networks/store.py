"""`NetworkStore`: makes a job's additions to a checkpoint from files, and caches them.

Source: spec networks.md 2.5, 2.6, 3.2; prompts.md 6, 7.
"""

import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.devices import spare_memory
from hexfusion.adapters.gpu.torch_backend.extra_networks.diffusers_layers import layer_names
from hexfusion.adapters.gpu.torch_backend.extra_networks.layer_names import layers_of
from hexfusion.adapters.gpu.torch_backend.extra_networks.lora import LoraFile, read_lora
from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.patches.additions import Additions
from hexfusion.adapters.gpu.torch_backend.patches.embeddings import (
    Bundled,
    EmbeddingFiles,
    EmbeddingVocabulary,
    FileStamp,
    file_stamp,
    vectors_of,
)
from hexfusion.adapters.gpu.torch_backend.patches.hypernetwork import (
    Hypernetwork,
    read_hypernetwork,
)
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Change, Layer, MergedWeights
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.extra_networks import Embedding
from hexfusion.domain.plan import HypernetworkPlan, LoraPlan, NetworksPlan

#: A text encoder's layer has this word in the first 20 characters of its name (networks.md 2.3).
_TEXT, _AMONG = "transformer", 20
#: How many of the layers that a checkpoint lacks a comment names.
_NAMED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Merge:
    """A checkpoint's weights with one set of LoRAs, merged in order."""

    weights: MergedWeights
    bundled: Mapping[str, Bundled]
    comments: tuple[str, ...]


class NetworkStore:
    """Makes additions, and keeps the ones used last; one store for each device.

    `kept()` (option `lora_in_memory_limit`) is how many sets of merged weights to keep besides the
    one last used. Running jobs keep theirs alive, and jobs with equal sets share them.
    `spare(network)` is how many bytes merged weights may take now. Safe to use from many threads.
    """

    def __init__(
        self,
        *,
        kept: Callable[[], int] = lambda: 0,
        spare: Callable[[nn.Module], int] = spare_memory,
        device: torch.device | None = None,
    ) -> None:
        """`device` is the one that computes, where networks are kept on another."""
        self._kept = kept
        self._spare = spare
        self._device = device
        self._making = threading.Lock()
        self._lock = threading.Lock()  # for the attributes below; never held while files are read
        self._embeddings = EmbeddingFiles()
        self._last_vocabulary: (
            tuple[tuple[tuple[Embedding, ...], int], EmbeddingVocabulary] | None
        ) = None
        # Keyed weakly by UNet, so that entries go with their checkpoint.
        self._layers: WeakKeyDictionary[nn.Module, dict[str, Layer]] = WeakKeyDictionary()
        self._last: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, _Merge]] = (
            WeakKeyDictionary()
        )
        self._alive: WeakKeyDictionary[nn.Module, WeakValueDictionary[Hashable, _Merge]] = (
            WeakKeyDictionary()
        )
        self._hypernetworks: OrderedDict[Hashable, Mapping[int, tuple[nn.Module, nn.Module]]] = (
            OrderedDict()
        )

    def additions(self, networks: NetworksPlan, model: LoadedCheckpoint) -> Additions:
        """The additions of these networks to this checkpoint.

        Raises `CheckpointError`, naming file and tensor, for a file that cannot be used, and with
        `networks.strict` `InvalidRequest` where part of a LoRA does not fit the checkpoint.
        """
        merge = self._merge(networks, model) if networks.loras else None
        if merge and merge.comments and networks.strict:
            raise InvalidRequest("prompt", "; ".join(merge.comments))
        bundled = merge.bundled if merge else {}
        return Additions(
            key=_identity(networks.loras) if merge else None,
            merged=merge.weights if merge else None,
            hypernetworks=[self._hypernetwork(each, model) for each in networks.hypernetworks],
            vocabulary=self._vocabulary(networks.embeddings, bundled, model),
            comments=merge.comments if merge else (),
            shared=merge,
        )

    def _vocabulary(
        self,
        listed: Sequence[Embedding],
        bundled: Mapping[str, Bundled],
        model: LoadedCheckpoint,
    ) -> EmbeddingVocabulary | None:
        """The last vocabulary is reused for equal embeddings: there may be thousands of names."""
        if not listed and not bundled:
            return None
        width = sum(encoder.width for encoder in model.text.encoders)
        if bundled:
            return EmbeddingVocabulary(self._embeddings, listed, bundled, width)
        key = tuple(listed), width
        with self._making:
            if self._last_vocabulary is None or self._last_vocabulary[0] != key:
                self._last_vocabulary = (
                    key,
                    EmbeddingVocabulary(self._embeddings, listed, {}, width),
                )
            return self._last_vocabulary[1]

    def _merge(self, networks: NetworksPlan, model: LoadedCheckpoint) -> _Merge:
        key = _identity(networks.loras), networks.functional
        with self._making:
            kept = max(0, self._kept())
            with self._lock:
                alive = self._alive.setdefault(model.unet, WeakValueDictionary())
                merge = alive.get(key)
                if merge is None:  # free what will not be kept before more is allocated
                    _shorten(self._last.get(model.unet, OrderedDict()), kept)
            if merge is None:
                merge = self._merged(networks.loras, model, functional=networks.functional)
            with self._lock:
                last = self._last.setdefault(model.unet, OrderedDict())
                alive[key] = last[key] = merge
                last.move_to_end(key)
                _shorten(last, kept + 1)
        return merge

    def _merged(
        self, loras: Sequence[LoraPlan], model: LoadedCheckpoint, *, functional: bool
    ) -> _Merge:
        if model.unet not in self._layers:
            self._layers[model.unet] = layers_of(model)
        layers = self._layers[model.unet]
        paths = {each.path for each in loras}
        names = layer_names(model.architecture.unet, open_clip=model.family.lora_open_clip)
        files = {path: read_lora(Path(path), layers, names) for path in paths}
        changes: dict[Layer, list[Change]] = {}
        for index, use in enumerate(loras):
            for name, (kind, parts) in files[use.path].layers.items():
                multiplier = use.te if _TEXT in name[:_AMONG] else use.unet
                change = Change(index, kind, parts, multiplier, use.dyn)
                changes.setdefault(layers[name], []).append(change)
        weights = MergedWeights(changes, 0 if functional else self._spare(model.unet))
        comments = _comments(loras, files, weights, Path(model.file).name)
        for comment in comments:
            log.warning("%s: %s", model.file, comment)
        return _Merge(weights, _bundled(loras, files), comments)

    def _hypernetwork(self, use: HypernetworkPlan, model: LoadedCheckpoint) -> Hypernetwork:
        device, dtype = self._device or model.unet.device, model.unet.dtype
        key = file_stamp(use.path), device, dtype
        with self._making:
            kept = max(4, self._kept())
            with self._lock:
                networks = self._hypernetworks.get(key)
            if networks is None:
                networks = read_hypernetwork(Path(use.path), device, dtype)
            with self._lock:
                self._hypernetworks[key] = networks
                self._hypernetworks.move_to_end(key)
                _shorten(self._hypernetworks, kept)
            return Hypernetwork(networks, use.multiplier)

    def size(self) -> int:
        """Bytes of merged weights and hypernetworks, kept or in use."""
        with self._lock:
            return self._size()

    def drop(self) -> int:
        """Drop all that no job uses; returns the bytes freed."""
        with self._lock:
            before = self._size()
            left = [weakref.ref(each) for pair in self._modules() for each in pair]
            self._last.clear()
            self._hypernetworks.clear()
            used = (module for each in left if (module := each()))
            return before - self._size() - bytes_of(t for each in used for t in each.parameters())

    def _size(self) -> int:
        merges = {id(e): e for kept in self._alive.values() for e in list(kept.values())}
        networks = (module for pair in self._modules() for module in pair)
        return sum(each.weights.size for each in merges.values()) + bytes_of(
            tensor for network in networks for tensor in network.parameters()
        )

    def _modules(self) -> list[tuple[nn.Module, nn.Module]]:
        return [pair for held in self._hypernetworks.values() for pair in held.values()]


def _shorten(kept: "OrderedDict[Hashable, Any]", count: int) -> None:
    """Drop the least recently used entries until `count` are left."""
    while len(kept) > count:
        kept.popitem(last=False)


def _identity(loras: Sequence[LoraPlan]) -> tuple[tuple[FileStamp, float, float, int | None], ...]:
    return tuple((file_stamp(use.path), use.te, use.unet, use.dyn) for use in loras)


def _bundled(loras: Sequence[LoraPlan], files: Mapping[str, LoraFile]) -> Mapping[str, Bundled]:
    return {
        name: Bundled(use.name, file_stamp(use.path), vectors_of(use.path, content))
        for use in loras
        for name, content in files[use.path].embeddings.items()
    }


def _comments(
    loras: Sequence[LoraPlan],
    files: Mapping[str, LoraFile],
    weights: MergedWeights,
    checkpoint: str,
) -> tuple[str, ...]:
    comments: list[str] = []
    wrong: dict[str, int] = {}
    for index, use in enumerate(loras):
        file = files[use.path]
        count = weights.misfits.get(index, 0) + file.incomplete
        if count:
            wrong[use.name] = count
        if not file.layers and not file.embeddings:
            comments.append(f"Lora {use.name} has nothing for this checkpoint")
        elif file.unmatched:
            comments.append(_partly(use.name, file, checkpoint))
    if wrong:
        listed = ", ".join(f"{name} ({count})" for name, count in wrong.items())
        comments.append(f"Networks with errors: {listed}")
    return tuple(dict.fromkeys(comments))


def _partly(name: str, file: LoraFile, checkpoint: str) -> str:
    left = len(file.unmatched)
    first = ", ".join(file.unmatched[:_NAMED]) + (", ..." if left > _NAMED else "")
    count = left + len(file.layers) + file.incomplete
    return f"Lora {name}: {left} of {count} layers have no place in {checkpoint}: {first}"
