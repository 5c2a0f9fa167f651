"""`Residency`: loads, keeps and releases checkpoints while any number of jobs use them.

The policy is in `eviction`, moving networks in `on_device`. See docs/adr/0018.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hexfusion.adapters.gpu.torch_backend.out_of_memory import with_memory
from hexfusion.adapters.gpu.torch_backend.residency.eviction import (
    HeldCheckpoint,
    MemoryLimits,
    choose_evictions,
)
from hexfusion.application.ports.inference import Resident
from hexfusion.domain.checkpoints import Checkpoint

log = logging.getLogger(__name__)

M = TypeVar("M")

CheckpointStamp = tuple[int, int] | None
"""Modification time (ns) and size (bytes) of a file; None where there is no file."""


def accept_any(models: object) -> None:
    """The default `check` of `Residency.using`: accepts any checkpoints that could be loaded."""


class Cache(Protocol):
    """Keeps tensors on the device that are not part of a checkpoint, and can drop them."""

    def size(self) -> int:
        """Bytes of the tensors that it keeps."""
        ...

    def drop(self) -> int:
        """Drop all of them; returns the bytes freed. Tensors that a job uses are not freed yet."""
        ...


class ModelHandler(Protocol[M]):
    """Loads and moves the networks `M` of a checkpoint."""

    def load(self, checkpoint: Checkpoint) -> M:
        """Load them to the device. Raises `CheckpointError`."""
        ...

    def expected(self, checkpoint: Checkpoint) -> int:
        """Estimated bytes before loading; 0 where that is unknown."""
        ...

    def size(self, model: M) -> int:
        """Bytes of a loaded model."""
        ...

    def to_device(self, model: M) -> None:
        """Move it to the device."""
        ...

    def to_ram(self, model: M) -> None:
        """Move it to RAM."""
        ...

    def tidy(self) -> None:
        """Give back memory after models were dropped or moved."""
        ...


@dataclass(eq=False)
class _Held(Generic[M]):
    """A model in memory, used by `jobs` jobs.

    `ready`: it is on the device. `unloaded`: drop it as soon as no job uses it.
    """

    checkpoint: Checkpoint
    stamp: CheckpointStamp
    model: M
    size: int
    ready: bool = True
    jobs: int = 0
    unloaded: bool = False

    @property
    def file(self) -> str:
        return self.checkpoint.filename


class Residency(Generic[M]):
    """Keeps checkpoints in memory: those in use, the one used last, and others within the limits.

    One in use is never moved or dropped. Loads and moves happen one at a time, in the thread that
    needs them; a thread whose checkpoints are ready does not wait. A file that changed is loaded
    again. `limits` is called each time. `two_places`: the device has memory of its own. `caches`
    count towards the device's budget, and are dropped when memory is short.
    """

    def __init__(
        self,
        handling: ModelHandler[M],
        limits: Callable[[], MemoryLimits] = MemoryLimits,
        *,
        two_places: bool = False,
        caches: Sequence[Cache] = (),
    ) -> None:
        self._handling = handling
        self._limits = limits
        self._two_places = two_places
        self._caches = caches
        self._working = threading.Lock()  # held to load or move, and to change which are in `_held`
        self._state = threading.Lock()  # held to read or change the attributes below
        self._held: OrderedDict[str, _Held[M]] = OrderedDict()  # the one used last is last
        self._last: tuple[str, ...] = ()
        self._unsettled = False

    @contextmanager
    def using(
        self, *checkpoints: Checkpoint, check: Callable[[Sequence[M]], object] = accept_any
    ) -> Iterator[Sequence[M]]:
        """These checkpoints, in this order, on the device for the time of the `with` block.

        `check` is called with the loaded models, and may raise to refuse them. Raises what it
        raises, `CheckpointError` or `OutOfMemory`; the checkpoints used before are then restored.
        """
        held = self._take(checkpoints, check)
        try:
            yield [each.model for each in held]
        finally:
            with self._state:
                for each in held:
                    each.jobs -= 1
            self._settle_soon()

    def current(self) -> Checkpoint | None:
        """The checkpoint used last, None if it was unloaded; of several the first one named."""
        with self._state:
            held = self._held.get(self._last[0]) if self._last else None
            return held.checkpoint if held else None

    def resident(self) -> Sequence[Resident]:
        """All checkpoints in memory, the one used last first."""
        with self._state:
            return [
                Resident(each.checkpoint, each.size, each.ready, each.jobs)
                for each in reversed(self._held.values())
            ]

    def unload(self) -> None:
        """Free the device. Checkpoints in use leave it when their jobs end.

        They wait in RAM, as far as its budget allows, where RAM is separate from the device.
        """
        with self._at_work():
            with self._state:
                self._last = ()
                for each in self._held.values():
                    each.unloaded = True
            self._settle()
            for cache in self._caches:
                cache.drop()
            self._handling.tidy()

    def free(self) -> int:
        """Drop all that no job uses, after memory ran out; returns the bytes freed."""
        with self._at_work():
            return self._free({})

    def _free(self, wanted: Mapping[str, CheckpointStamp]) -> int:
        """`free`, except for the `wanted` files. Call with `_working` held."""
        freed = 0
        for each in self._all():
            if not (each.file in wanted and _is(each, wanted)) and self._drop(each):
                freed += each.size
        freed += sum(cache.drop() for cache in self._caches)
        self._handling.tidy()
        return freed

    def _take(
        self, checkpoints: Sequence[Checkpoint], check: Callable[[Sequence[M]], object]
    ) -> list[_Held[M]]:
        """The held models of these checkpoints, each counted as used by one more job."""
        stamps = {each.filename: _stamp(each) for each in checkpoints}
        with self._state:
            found = self._found(stamps)
            if found is not None and check is accept_any:
                return self._begin(found)
        with self._at_work():
            with self._state:
                before = [self._held[file] for file in self._last if file in self._held]
            try:
                for each in checkpoints:
                    self._bring(each, stamps)
                check([self._held[file].model for file in stamps])
            except BaseException:
                self._restore(before)
                raise
            with self._state:
                taken = self._begin([self._held[file] for file in stamps])
            self._settle()
        return taken

    def _found(self, stamps: Mapping[str, CheckpointStamp]) -> list[_Held[M]] | None:
        """The models of these files if all are on the device and unchanged on disk, else None."""
        found = [self._held.get(file) for file in stamps]
        there = [each for each in found if each and each.ready and _is(each, stamps)]
        return there if len(there) == len(stamps) else None

    def _begin(self, found: list[_Held[M]]) -> list[_Held[M]]:
        for each in reversed(found):
            each.jobs += 1
            each.unloaded = False
            self._held.move_to_end(each.file)
        self._last = tuple(each.file for each in found)
        return found

    def _bring(self, checkpoint: Checkpoint, stamps: Mapping[str, CheckpointStamp]) -> None:
        """Load it or move it to the device; `stamps` are of all files that one job needs."""
        held = self._held.get(checkpoint.filename)
        if held and not _is(held, stamps):
            held = None
        if held and held.ready:
            return
        size = held.size if held else self._handling.expected(checkpoint)
        self._make_room(size, stamps)
        task = f"the checkpoint {checkpoint.name}"

        def free() -> int:
            return self._free(stamps)

        if held:
            try:
                with_memory(task, lambda: self._handling.to_device(held.model), free)
            except BaseException:
                self._drop(held)  # part of it may be on the device, where nothing counts it
                raise
            with self._state:
                held.ready = True
            return
        start = time.perf_counter()
        model = with_memory(task, lambda: self._handling.load(checkpoint), free)
        stamp = stamps[checkpoint.filename]
        fresh = _Held(checkpoint, stamp, model, self._handling.size(model))
        with self._state:
            # A job may still use the model of the file's old content, by its own reference.
            self._held[fresh.file] = fresh
            self._held.move_to_end(fresh.file)
        took = time.perf_counter() - start
        log.info("read %s in %.1f s: %d MiB", checkpoint.name, took, fresh.size >> 20)

    def _make_room(self, size: int, wanted: Mapping[str, CheckpointStamp]) -> None:
        """Drop caches, then checkpoints, until `size` more bytes fit into the budgets.

        Even the one used last, as two may not fit. The limit on their number, and `only_last`,
        are applied after the new one is loaded.
        """
        limits = replace(self._limits(), count=len(self._held), only_last=False)
        budget = limits.device if self._two_places else limits.ram
        if self._size() + size > budget:
            for cache in self._caches:
                cache.drop()
        self._obey(limits, wanted, size)

    def _size(self) -> int:
        """Bytes of checkpoints and caches on the device."""
        held = sum(each.size for each in self._all() if each.ready)
        return held + sum(cache.size() for cache in self._caches)

    def _restore(self, before: Sequence[_Held[M]]) -> None:
        """Load the checkpoints used before again, if they made room for one that failed to load."""
        stamps = {each.file: each.stamp for each in before}
        for each in before:
            try:
                self._bring(each.checkpoint, stamps)
            except Exception as error:
                log.error("%s cannot be loaded again: %s", each.checkpoint.name, error)
        self._settle()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Hold `_working`, and apply the limits afterwards, also after an error.

        A job that ends meanwhile does not wait for `_working` to apply them itself.
        """
        try:
            with self._working:
                yield
        finally:
            self._settle_soon(needed=False)

    def _settle_soon(self, *, needed: bool = True) -> None:
        """Apply the limits now, or leave it to the thread that holds `_working`; never waits."""
        if needed:
            self._unsettled = True
        while self._unsettled and self._working.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._working.release()

    def _settle(self) -> None:
        """Apply the limits. Call with `_working` held.

        An error is logged, not raised: the job that just ended did not cause it.
        """
        self._unsettled = False
        try:
            self._keep_limits()
        except Exception:
            log.exception("the limits on checkpoints in memory could not be kept")

    def _keep_limits(self) -> None:
        with self._state:
            last = self._last
            leaving = [each for each in self._held.values() if each.unloaded]
        for each in leaving:
            if self._two_places:
                self._to_ram(each)
            else:
                self._drop(each)
        self._obey(self._limits(), last, 0)

    def _obey(
        self, limits: MemoryLimits, fixed: Sequence[str] | Mapping[str, CheckpointStamp], size: int
    ) -> None:
        """Evict what is over the limits once `size` more bytes are loaded.

        Files in `fixed`, and checkpoints in use, stay.
        """
        with self._state:
            held = [
                HeldCheckpoint(
                    each.file, each.size, each.ready, bool(each.jobs) or each.file in fixed
                )
                for each in reversed(self._held.values())
            ]
        others = size + sum(cache.size() for cache in self._caches)
        evictions = choose_evictions(held, limits, ram=self._two_places, others=others)
        for file in evictions.to_ram:
            self._to_ram(self._held[file])
        went = [file for file in evictions.gone if self._drop(self._held[file])]
        if went or evictions.to_ram:
            self._handling.tidy()

    def _to_ram(self, held: _Held[M]) -> None:
        """Move it to RAM, unless a job uses it; drop it if that fails."""
        with self._state:
            if held.jobs or not held.ready:
                return
            held.ready = False
        try:
            self._handling.to_ram(held.model)
        except Exception as error:
            log.warning("%s is let go of: to RAM it cannot go: %s", held.checkpoint.name, error)
            self._drop(held)

    def _drop(self, held: _Held[M]) -> bool:
        """Drop it unless a job uses it; returns whether it was dropped."""
        with self._state:
            if held.jobs:
                return False
            self._held.pop(held.file, None)
            return True

    def _all(self) -> list[_Held[M]]:
        with self._state:
            return list(self._held.values())


def _stamp(checkpoint: Checkpoint) -> CheckpointStamp:
    try:
        stat = Path(checkpoint.filename).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _is(held: _Held[M], stamps: Mapping[str, CheckpointStamp]) -> bool:
    """Whether the model is of the file's current content; True for a file that is gone."""
    stamp = stamps[held.file]
    return stamp is None or stamp == held.stamp
