"""The extra networks of a job, for each checkpoint it uses."""

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

    All files are read at construction, so that errors come before any sampling. Raises as
    `NetworkStore.additions`.
    """

    def __init__(
        self, store: NetworkStore, plan: Plan, models: Mapping[str, LoadedCheckpoint]
    ) -> None:
        self._used: list[UsedEmbedding] = []
        self._made: dict[tuple[int, nn.Module], Additions] = {}
        self._plan = plan  # kept alive: `_made` is keyed by the identity of its networks
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
        """Make a pass's additions to one model. `strict` replaces the plan's: a refiner's is False,
        as LoRAs are made for its base model."""
        if networks != NetworksPlan():
            wanted = networks if strict is None else structs.replace(networks, strict=strict)
            additions = replace(store.additions(wanted, model), used=self._used)
            self._made[id(networks), model.unet] = additions

    def __call__(
        self, networks: NetworksPlan, model: LoadedCheckpoint
    ) -> AbstractContextManager[None]:
        """A context in which the calling thread's calls of the model use a pass's networks."""
        return adding(self._made.get((id(networks), model.unet)))

    @property
    def used(self) -> tuple[UsedEmbedding, ...]:
        """The embeddings named by the texts encoded so far, in infotext's order."""
        return tuple(self._used)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in prompts of all networks that the passes add, each once."""
        networks = [each.networks for each in self._plan.passes]
        loras = [use.name for each in networks for use in each.loras]
        hypernetworks = [use.name for each in networks for use in each.hypernetworks]
        embeddings = [each.name for each in self._used]
        return tuple(dict.fromkeys([*loras, *hypernetworks, *embeddings]))

    @property
    def comments(self) -> tuple[str, ...]:
        """What could not be added, and why."""
        return tuple(dict.fromkeys(c for each in self._made.values() for c in each.comments))
