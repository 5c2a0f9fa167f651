"""A job's small networks, over all checkpoints it uses."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from msgspec import structs
from torch import nn

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.patches.additions import Additions, adding
from hexfusion.domain.extra_networks import UsedEmbedding
from hexfusion.domain.plan import NetworksPlan, Plan


class JobAdditions:
    """What a plan's passes add to its checkpoints, `models` by file name.

    All is made at once, before anything computes, so that what cannot be used is told at once.
    Raises what `NetworkStore.additions` raises.
    """

    def __init__(
        self, store: NetworkStore, plan: Plan, models: Mapping[str, LoadedCheckpoint]
    ) -> None:
        self._used: list[UsedEmbedding] = []
        self._made: dict[tuple[int, nn.Module], Additions] = {}
        self._plan = plan  # by whose networks' identity they are found
        for each in plan.passes:
            self._make(store, each.networks, models[each.checkpoint.filename])
            if each.refiner:
                self._make(
                    store, each.networks, models[each.refiner.checkpoint.filename], strict=False
                )

    def _make(
        self,
        store: NetworkStore,
        networks: NetworksPlan,
        model: LoadedCheckpoint,
        strict: bool | None = None,
    ) -> None:
        """A refiner need not know what is made for its base: there nothing is strict."""
        if networks != NetworksPlan():
            wanted = networks if strict is None else structs.replace(networks, strict=strict)
            additions = replace(store.additions(wanted, model), used=self._used)
            self._made[id(networks), model.unet] = additions

    def __call__(
        self, networks: NetworksPlan, model: LoadedCheckpoint
    ) -> AbstractContextManager[None]:
        """Inside, the calling thread's calls of the model compute with a pass's networks."""
        return adding(self._made.get((id(networks), model.unet)))

    @property
    def used(self) -> tuple[UsedEmbedding, ...]:
        """The embeddings that the texts encoded so far named, in infotext's order."""
        return tuple(self._used)

    @property
    def names(self) -> tuple[str, ...]:
        """What all passes add, by the names that prompts have for it."""
        networks = [each.networks for each in self._plan.passes]
        loras = [use.name for each in networks for use in each.loras]
        hypernetworks = [use.name for each in networks for use in each.hypernetworks]
        embeddings = [each.name for each in self._used]
        return tuple(dict.fromkeys([*loras, *hypernetworks, *embeddings]))

    @property
    def comments(self) -> tuple[str, ...]:
        """What could not be added, and why."""
        return tuple(dict.fromkeys(c for each in self._made.values() for c in each.comments))
