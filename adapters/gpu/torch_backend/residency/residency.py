"""Which checkpoints are in memory, and the change from one to the next.

What is decided is in `keeping`, what lies where in `moving`; here it is done, while any number of
jobs come and go. See docs/adr/0018.
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
from hexfusion.adapters.gpu.torch_backend.residency.eviction import Holding, Limits, judge
from hexfusion.application.ports.inference import Resident
from hexfusion.domain.checkpoints import Checkpoint

log = logging.getLogger(__name__)

M = TypeVar("M")

Stamp = tuple[int, int] | None
"""Time of change and size of a file; None where there is no file."""


def nothing(models: object) -> None:
    """Asks nothing more of checkpoints than that they load."""


class Cache(Protocol):
    """Something that keeps tensors on the device beside the checkpoints."""

    def size(self) -> int:
        """Bytes of what it keeps."""
        ...

    def drop(self) -> int:
        """Let go of it, and tell how many bytes nobody else had; who computes with them has them
        still."""
        ...


class Handling(Protocol[M]):
    """What is done with a checkpoint's networks `M`, which know nothing of being kept."""

    def load(self, checkpoint: Checkpoint) -> M:
        """On the device. Raises `CheckpointError`."""
        ...

    def expected(self, checkpoint: Checkpoint) -> int:
        """Bytes that it will take, as far as that can be told before."""
        ...

    def size(self, model: M) -> int:
        """Bytes that it takes."""
        ...

    def to_device(self, model: M) -> None:
        """To where it computes."""
        ...

    def to_ram(self, model: M) -> None:
        """To where it waits."""
        ...

    def tidy(self) -> None:
        """Something went: give its memory back."""
        ...


@dataclass(eq=False)
class _Held(Generic[M]):
    """`ready`: on the device. `unloaded`: it is to leave as soon as no job uses it."""

    checkpoint: Checkpoint
    stamp: Stamp
    model: M
    size: int
    ready: bool = True
    jobs: int = 0
    unloaded: bool = False

    @property
    def file(self) -> str:
        return self.checkpoint.filename


class Residency(Generic[M]):
    """Holds checkpoints: those in use, the one used last, and beside them what the limits allow.

    One in use is never moved, and never let go of. Loads and moves happen one at a time, in the
    thread that needs them; who needs none does not wait. A file that was replaced is loaded again.
    `limits` is asked each time. `two_places`: the device has memory of its own.
    """

    def __init__(
        self,
        handling: Handling[M],
        limits: Callable[[], Limits] = Limits,
        *,
        two_places: bool = False,
        caches: Sequence[Cache] = (),
    ) -> None:
        self._handling = handling
        self._limits = limits
        self._two_places = two_places
        self._caches = caches
        self._working = threading.Lock()  # of who loads or moves; alone adds to `_held`, or takes
        self._state = threading.Lock()  # of who looks at what follows, or changes it
        self._held: OrderedDict[str, _Held[M]] = OrderedDict()  # the one used last is last
        self._last: tuple[str, ...] = ()
        self._unsettled = False

    @contextmanager
    def using(
        self, *checkpoints: Checkpoint, check: Callable[[Sequence[M]], object] = nothing
    ) -> Iterator[Sequence[M]]:
        """These checkpoints, in this order, on the device for the time of the `with` block.

        `check` may find fault with them by raising. Raises what it raises, `CheckpointError` or
        `OutOfMemory`; what was used before is then as it was.
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
        """The one used last, if it has not been unloaded; of several the first asked for."""
        with self._state:
            held = self._held.get(self._last[0]) if self._last else None
            return held.checkpoint if held else None

    def resident(self) -> Sequence[Resident]:
        """All that are held, the one used last first."""
        with self._state:
            return [
                Resident(each.checkpoint, each.size, each.ready, each.jobs)
                for each in reversed(self._held.values())
            ]

    def unload(self) -> None:
        """Free the device: of what jobs use as soon as they end. What RAM has room for waits there,
        where that is another memory.
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
        """Let go of all that no job uses, since memory ran out; returns how many bytes that was."""
        with self._at_work():
            return self._free({})

    def _free(self, wanted: Mapping[str, Stamp]) -> int:
        """The same, save what is wanted. Call with `_working` held."""
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
        """These, each now in use once more."""
        stamps = {each.filename: _stamp(each) for each in checkpoints}
        with self._state:
            found = self._found(stamps)
            if found is not None and check is nothing:
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

    def _found(self, stamps: Mapping[str, Stamp]) -> list[_Held[M]] | None:
        """Those, if all are held, on the device, and as their files are now."""
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

    def _bring(self, checkpoint: Checkpoint, stamps: Mapping[str, Stamp]) -> None:
        """Have it on the device, `stamps` being of all that are needed together."""
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
                self._drop(held)  # some of it may be there, and would be counted nowhere
                raise
            with self._state:
                held.ready = True
            return
        start = time.perf_counter()
        model = with_memory(task, lambda: self._handling.load(checkpoint), free)
        stamp = stamps[checkpoint.filename]
        fresh = _Held(checkpoint, stamp, model, self._handling.size(model))
        with self._state:
            # A job may still use what the file held before: by a reference of its own.
            self._held[fresh.file] = fresh
            self._held.move_to_end(fresh.file)
        took = time.perf_counter() - start
        log.info("read %s in %.1f s: %d MiB", checkpoint.name, took, fresh.size >> 20)

    def _make_room(self, size: int, wanted: Mapping[str, Stamp]) -> None:
        """Before something of that size comes, what is over the budgets with it goes: caches, then
        checkpoints. Even what was used last, since two may be more than there is memory for. What
        is merely too many, or not the last any more, stays until it is there.
        """
        limits = replace(self._limits(), count=len(self._held), only_last=False)
        budget = limits.device if self._two_places else limits.ram
        if self._size() + size > budget:
            for cache in self._caches:
                cache.drop()
        self._obey(limits, wanted, size)

    def _size(self) -> int:
        """Bytes that are taken on the device."""
        held = sum(each.size for each in self._all() if each.ready)
        return held + sum(cache.size() for cache in self._caches)

    def _restore(self, before: Sequence[_Held[M]]) -> None:
        """What was used last is there again, if it had to make room for what did not come."""
        stamps = {each.file: each.stamp for each in before}
        for each in before:
            try:
                self._bring(each.checkpoint, stamps)
            except Exception as error:
                log.error("%s cannot be loaded again: %s", each.checkpoint.name, error)
        self._settle()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Alone in loading and moving. A job that ends meanwhile does not wait to see the limits
        kept; so whoever was at work does that afterwards, also where the work failed."""
        try:
            with self._working:
                yield
        finally:
            self._settle_soon(needed=False)

    def _settle_soon(self, *, needed: bool = True) -> None:
        """See that the limits are kept, now or by whoever is at work: nobody waits for that."""
        if needed:
            self._unsettled = True
        while self._unsettled and self._working.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._working.release()

    def _settle(self) -> None:
        """Have the limits kept. Call with `_working` held. The jobs at whose ends that is done are
        not to blame where it fails, nor would they do better: that is logged."""
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

    def _obey(self, limits: Limits, fixed: Sequence[str] | Mapping[str, Stamp], size: int) -> None:
        """Let go of what is over the limits, `fixed` and what is in use excepted, when `size` bytes
        are to come."""
        with self._state:
            held = [
                Holding(each.file, each.size, each.ready, bool(each.jobs) or each.file in fixed)
                for each in reversed(self._held.values())
            ]
        others = size + sum(cache.size() for cache in self._caches)
        verdict = judge(held, limits, ram=self._two_places, others=others)
        for file in verdict.to_ram:
            self._to_ram(self._held[file])
        went = [file for file in verdict.gone if self._drop(self._held[file])]
        if went or verdict.to_ram:
            self._handling.tidy()

    def _to_ram(self, held: _Held[M]) -> None:
        """Unless a job uses it, or came to do so in the meantime."""
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
        """Let go of it, unless a job uses it."""
        with self._state:
            if held.jobs:
                return False
            self._held.pop(held.file, None)
            return True

    def _all(self) -> list[_Held[M]]:
        with self._state:
            return list(self._held.values())


def _stamp(checkpoint: Checkpoint) -> Stamp:
    try:
        stat = Path(checkpoint.filename).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _is(held: _Held[M], stamps: Mapping[str, Stamp]) -> bool:
    """Whether it is what its file holds; of a file that is gone the last that is known."""
    stamp = stamps[held.file]
    return stamp is None or stamp == held.stamp
