"""Threads that run one at a time, switched where a seed says: a schedule that can be run again.

A `Stage` runs tasks in threads of their own, of which only one moves. At every point where another
could come in between (taking or giving back a lock, reaching for a guarded attribute) the stage
chooses who goes on, by a random number generator with a seed. Its locks, conditions and events
block nobody but actors: who waits is merely not chosen. Time does not pass: a wait with a limit
ends when nobody else can go on. All waiting without a limit is a deadlock, and is told; so is a
play that takes too many steps.

`staged` gives the project's modules these locks instead of those of `threading`.
"""

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Real seconds after which a play that hangs in something else than a staged lock is given up.
_PATIENCE = 60


class Deadlock(AssertionError):
    """Everybody waits for somebody."""


class TooLong(AssertionError):
    """More steps than the stage allows: threads keep each other from getting on."""


class _Over(BaseException):
    """Ends the threads of a play that failed. Nobody is to catch it by accident."""


class _Actor:
    def __init__(self, task: Callable[[], object]) -> None:
        self.task = task
        self.go = threading.Semaphore(0)
        self.done = False
        self.can_go: Callable[[], bool] | None = None
        self.timed = False
        self.thread: threading.Thread | None = None


class Stage:
    """Runs tasks by a schedule that follows from `seed`, of `steps` switches at most."""

    def __init__(self, seed: int = 0, steps: int = 20_000) -> None:
        self._random = random.Random(seed)
        self._left = steps
        self._actors: list[_Actor] = []
        self._here = threading.local()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        #: What was touched without its lock, in words.
        self.violations: list[str] = []

    def run(self, *tasks: Callable[[], object]) -> None:
        """Run the tasks to their ends, and those that they start.

        Raises what the first of them to fail raised, `Deadlock`, `TooLong`, or an `AssertionError`
        that tells of what was touched without its lock.
        """
        self._ended.clear()
        self._actors = []
        for task in tasks:
            self.start(task)
        self._next(None)
        if not self._ended.wait(_PATIENCE):
            self._failure = self._failure or Deadlock("blocked by something that is not staged")
            self._release_all()
        for actor in self._actors:
            assert actor.thread is not None
            actor.thread.join(_PATIENCE)
        if self._failure is not None:
            raise self._failure
        assert not self.violations, "; ".join(dict.fromkeys(self.violations))

    def start(self, task: Callable[[], object], name: str | None = None) -> None:
        """One actor more; it moves when it is chosen."""
        actor = _Actor(task)
        actor.thread = threading.Thread(target=self._act, args=(actor,), name=name, daemon=True)
        self._actors.append(actor)
        actor.thread.start()

    @property
    def acting(self) -> bool:
        """Whether this thread is an actor's."""
        return getattr(self._here, "actor", None) is not None

    def pause(self) -> None:
        """Another may go on here."""
        if self.acting:
            self._switch(self._here.actor)

    def wait(self, can_go: Callable[[], bool], *, timed: bool = False) -> bool:
        """Go on when that is so, or, if `timed`, when nobody else can; returns whether it is so."""
        if not self.acting:
            if not can_go() and not timed:
                raise Deadlock("who is not on stage would wait for ever")
            return can_go()
        actor = self._here.actor
        actor.can_go, actor.timed = can_go, timed
        self._switch(actor)
        actor.can_go, actor.timed = None, False
        return can_go()

    def _act(self, actor: _Actor) -> None:
        self._here.actor = actor
        actor.go.acquire()
        try:
            if self._failure is None:
                actor.task()
        except _Over:
            pass
        except BaseException as error:
            self._fail(error)
        finally:
            actor.done = True
            self._next(actor)

    def _switch(self, actor: _Actor) -> None:
        if self._failure is None:
            self._left -= 1
            if self._left < 0:
                self._fail(TooLong("the play has no end"))
            else:
                self._next(actor)
        if self._failure is not None:
            raise _Over

    def _next(self, actor: _Actor | None) -> None:
        """Let somebody go on, and wait for one's own turn."""
        living = [each for each in self._actors if not each.done]
        if not living:
            self._ended.set()
            return
        if self._failure is not None:
            self._release_all()
            return
        ready = [each for each in living if each.can_go is None or each.can_go()]
        ready = ready or [each for each in living if each.timed]
        if not ready:
            self._fail(Deadlock(f"{len(living)} threads wait for each other"))
            self._release_all()
            return
        chosen = self._random.choice(ready)
        if chosen is actor:
            return
        chosen.go.release()
        if actor is not None and not actor.done:
            actor.go.acquire()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _release_all(self) -> None:
        for each in self._actors:
            if not each.done:
                each.go.release()


class StagedLock:
    """A `threading.Lock` or, `reentrant`, an `RLock`, that knows who holds it."""

    def __init__(self, stage: Stage, reentrant: bool = False) -> None:
        self._stage = stage
        self._reentrant = reentrant
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self._stage.pause()
        me = threading.get_ident()
        if self._owner is not None and not (self._reentrant and self._owner == me):
            if not blocking:
                return False
            if not self._stage.wait(lambda: self._owner is None, timed=timeout >= 0):
                return False
        self._owner = me
        self._depth += 1
        return True

    def release(self) -> None:
        if not self.held():
            raise RuntimeError("release of a lock that is another's, or nobody's")
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._stage.pause()

    def locked(self) -> bool:
        return self._owner is not None

    def held(self) -> bool:
        """Whether this thread holds it."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        if self.held():
            self.release()


class StagedCondition(StagedLock):
    """A `threading.Condition` over a lock of its own."""

    def __init__(self, stage: Stage, lock: None = None) -> None:
        assert lock is None, "a condition over another's lock is not staged yet"
        super().__init__(stage, reentrant=True)
        self._waiters: list[list[bool]] = []

    def wait(self, timeout: float | None = None) -> bool:
        self._need()
        depth, self._depth, self._owner = self._depth, 0, None
        woken = [False]
        self._waiters.append(woken)
        self._stage.wait(lambda: woken[0], timed=timeout is not None)
        if not woken[0]:
            self._waiters.remove(woken)
        self._stage.wait(lambda: self._owner is None)
        self._owner, self._depth = threading.get_ident(), depth
        return woken[0]

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        while not predicate():
            if not self.wait(timeout):
                return predicate()
        return True

    def notify(self, n: int = 1) -> None:
        self._need()
        for woken in self._waiters[:n]:
            woken[0] = True
        del self._waiters[:n]

    def notify_all(self) -> None:
        self.notify(len(self._waiters))

    def _need(self) -> None:
        if not self.held():
            raise RuntimeError("a condition was used by who does not hold it")


class StagedEvent:
    """A `threading.Event`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._stage.pause()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._stage.wait(lambda: self._set, timed=timeout is not None)


class _Thread:
    """A `threading.Thread`, as far as the project uses it."""

    def __init__(
        self,
        stage: Stage,
        target: Callable[..., object],
        name: str | None = None,
        args: tuple[object, ...] = (),
        daemon: bool | None = None,
    ) -> None:
        self._stage = stage
        self._task = lambda: target(*args)
        self._name = name

    def start(self) -> None:
        self._stage.start(self._task, self._name)
        self._stage.pause()


class StagedThreading:
    """The module `threading` of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def Lock(self) -> StagedLock:
        return StagedLock(self._stage)

    def RLock(self) -> StagedLock:
        return StagedLock(self._stage, reentrant=True)

    def Condition(self, lock: None = None) -> StagedCondition:
        return StagedCondition(self._stage, lock)

    def Event(self) -> StagedEvent:
        return StagedEvent(self._stage)

    def Thread(self, **given: object) -> _Thread:
        return _Thread(self._stage, **given)

    def __getattr__(self, name: str) -> object:
        return getattr(threading, name)


_ORIGINALS = {"Lock", "RLock", "Condition", "Event", "Thread"}
#: Those of them that a module may hold at its own top level.
_LOCK_TYPES = (type(threading.Lock()), type(threading.RLock()), threading.Condition)


@contextmanager
def staged(stage: Stage) -> Iterator[StagedThreading]:
    """The project's modules see the stage's `threading` for the time of the `with` block.

    So what they make meanwhile is staged; what they have made before is not, save their own
    modules' locks.
    """
    fake = StagedThreading(stage)
    undo: list[tuple[object, str, object]] = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or not _ours(Path(file)):
            continue
        for name, value in list(vars(module).items()):
            if value is threading:
                other: object = fake
            elif name in _ORIGINALS and value is getattr(threading, name):
                other = getattr(fake, name)
            elif isinstance(value, _LOCK_TYPES):
                other = StagedLock(stage, reentrant=not isinstance(value, _LOCK_TYPES[0]))
            else:
                continue
            undo.append((module, name, value))
            setattr(module, name, other)
    try:
        yield fake
    finally:
        for module, name, value in undo:
            setattr(module, name, value)


def _ours(file: Path) -> bool:
    """Whether it is a module of the project's that is no test."""
    if not file.is_relative_to(ROOT):
        return False
    first = file.relative_to(ROOT).parts[0]
    return first != "tests" and not first.startswith(".")
