"""What is shared is touched only by who holds its lock: how that is seen.

A test class for each class with a lock derives from `LockContract`. It says which attributes which
lock guards, and plays threads that use the class. Its tests run the play by many schedules; and
again without the locks, one missing at a time, to see that each is missed.

`Guard` tells of attributes by name:

* `touched`: read and written with the lock held, so that what is read together belongs together;
* `written`: written with it, but read at any time: a reference to something that does not change;
* `called`: `attribute.method` of what the attribute holds, called with the lock held. The
  attribute may be a dictionary or a list (`files.__iter__`), or any collaborator.

A lock that is another's, or comes by an argument, is no attribute of the class: `Scene.held` tells
a test's own collaborators whether it is held.
"""

import ast
import copy
import importlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.architecture.source import ROOT, tree
from tests.concurrency.sites import Site, Without, sites
from tests.concurrency.stage import Stage, StagedLock, StagedThreading, staged

Owner = Any
"""A class or a function."""

_CONTAINERS = (OrderedDict, dict, list, set)


@dataclass(frozen=True)
class Guard:
    """Which attributes a lock guards; with several locks, holding any of them will do."""

    lock: str | tuple[str, ...]
    touched: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    called: tuple[str, ...] = ()

    @property
    def locks(self) -> tuple[str, ...]:
        return (self.lock,) if isinstance(self.lock, str) else self.lock


class Scene:
    """One play: a stage, the classes as they are watched on it, and a folder."""

    def __init__(
        self,
        stage: Stage,
        threading: StagedThreading,
        folder: Path,
        guards: Mapping[Owner, Sequence[Guard]],
        without: Site | None = None,
    ) -> None:
        self.stage = stage
        self.threading = threading
        self.folder = folder
        self._guards = guards
        self._without = without
        self._watched: dict[Owner, Owner] = {}

    def __getitem__(self, owner: Owner) -> Owner:
        """The class, or function, as it is watched here."""
        return self.given(owner)

    def given(self, owner: Owner, **instead: object) -> Owner:
        """The same; its module's globals are `instead` of what they are."""
        if owner not in self._watched:
            found = _made_anew(owner, self._without, instead)
            guards = self._guards.get(owner, ())
            self._watched[owner] = self.watched(found, *guards) if guards else found
        return self._watched[owner]

    def watched(
        self, cls: type, *guards: Guard, lock: Callable[[str], StagedLock] | None = None
    ) -> type:
        """A subclass whose attributes are watched; `lock` finds a lock that is not its own."""
        return _watched(self.stage, cls, guards, lock)

    def run(self, *tasks: Callable[[], object]) -> None:
        """Run them side by side, each in its thread, until all are over."""
        self.stage.run(*tasks)

    def held(self, lock: StagedLock, what: str) -> None:
        """For collaborators: who is here must hold the lock."""
        self.stage.pause()
        if self.stage.acting and not lock.held():
            self.stage.violations.append(f"{what} without its lock")


class LockContract:
    """Subclasses say what is guarded, and play.

    `guards` maps each class or function that is covered to its guards. `seeds` are the schedules.
    """

    guards: ClassVar[Mapping[Owner, Sequence[Guard]]]
    seeds: ClassVar[Iterable[int]] = range(12)

    def play(self, scene: Scene) -> None:
        """Make the things with `scene[Class]`, run threads that use them, assert the outcome."""
        raise NotImplementedError

    def test_what_is_shared_is_touched_only_with_its_lock(self, tmp_path):
        for seed in self.seeds:
            self._play(seed, tmp_path / str(seed))

    def test_each_lock_is_missed_where_it_is_taken_away(self, tmp_path):
        unseen = [
            str(site)
            for number, site in enumerate(self._sites())
            if not any(
                self._fails(seed, tmp_path / f"{number}-{seed}", site) for seed in self.seeds
            )
        ]
        assert not unseen, f"no play fails without the lock at {unseen}"

    def _sites(self) -> list[Site]:
        found = []
        for owner in self.guards:
            path = _path(owner)
            found += [site for site in sites(path) if site.owner == owner.__name__]
        return found

    def _play(self, seed: int, folder: Path, without: Site | None = None) -> None:
        folder.mkdir()
        stage = Stage(seed)
        with staged(stage) as threading:
            self.play(Scene(stage, threading, folder, self.guards, without))

    def _fails(self, seed: int, folder: Path, without: Site) -> bool:
        try:
            self._play(seed, folder, without)
        except Exception:
            return True
        except pytest.fail.Exception:  # of `pytest.raises`
            return True
        return False


def _path(owner: Owner) -> Path:
    file = importlib.import_module(owner.__module__).__file__
    assert file is not None
    return Path(file).relative_to(ROOT)


def _made_anew(owner: Owner, without: Site | None, instead: Mapping[str, object]) -> Owner:
    """The class or function from its source, with globals of its own, perhaps without a lock."""
    path, name = _path(owner), owner.__name__
    node = copy.deepcopy(next(n for n in tree(path).body if getattr(n, "name", None) == name))
    if without is not None and (without.path, without.owner) == (path, name):
        node = ast.fix_missing_locations(Without(without).visit(node))
    names = {**vars(sys.modules[owner.__module__]), **instead}
    code = compile(ast.Module([node], []), str(ROOT / path), "exec", dont_inherit=True)
    exec(code, names)
    return names[name]


def _watched(
    stage: Stage,
    cls: type,
    guards: Sequence[Guard],
    find: Callable[[str], StagedLock] | None,
) -> type:
    reads = {name: guard for guard in guards for name in guard.touched}
    writes = reads | {name: guard for guard in guards for name in guard.written}
    calls: dict[str, dict[str, list[Guard]]] = {}
    for guard in guards:
        for dotted_name in guard.called:
            attribute, _, method = dotted_name.rpartition(".")
            calls.setdefault(attribute, {}).setdefault(method, []).append(guard)

    def check(self: object, guard: Guard, what: str) -> None:
        stage.pause()
        if not stage.acting or not hasattr(self, "_shared"):
            return
        locks = [
            find(name) if find else object.__getattribute__(self, name) for name in guard.locks
        ]
        if not any(lock.held() for lock in locks):
            text = f"{cls.__name__}.{what} without {' or '.join(guard.locks)}"
            stage.violations.append(text)

    def read(self: object, name: str) -> object:
        if name in reads:
            check(self, reads[name], f"{name} read")
        elif name in writes:
            stage.pause()  # what is read now may be another by the next read
        value = super(watched, self).__getattribute__(name)
        if name in calls and not hasattr(type(value), "_watched"):
            value = _checked(value, name, calls[name], lambda guard, what: check(self, guard, what))
            object.__setattr__(self, name, value)
        return value

    def write(self: object, name: str, value: object) -> None:
        if name in writes:
            check(self, writes[name], f"{name} written")
        super(watched, self).__setattr__(name, value)

    def begin(self: object, *args: object, **named: object) -> None:
        super(watched, self).__init__(*args, **named)
        object.__setattr__(self, "_shared", True)  # nobody else had it before

    body = {
        "__init__": begin,
        "__getattribute__": read,
        "__setattr__": write,
        "__module__": cls.__module__,
        # A subclass of a generic class has no parameters, but annotations may give it some.
        "__class_getitem__": classmethod(lambda cls, parameters: cls),
    }
    watched: type = type(cls.__name__, (cls,), body)
    return watched


def _checked(
    value: object,
    attribute: str,
    methods: Mapping[str, Sequence[Guard]],
    check: Callable[[Guard, str], None],
) -> object:
    """The same object with some methods watched."""

    def watched(name: str) -> Callable[..., object]:
        def call(self: object, *args: object, **named: object) -> object:
            for guard in methods[name]:
                check(guard, f"{attribute}.{name} called")
            target = super(kind, self) if isinstance(value, _CONTAINERS) else value
            return getattr(target, name)(*args, **named)

        return call

    body = {name: watched(name) for name in methods}
    body["_watched"] = True
    if isinstance(value, _CONTAINERS):
        kind = type(type(value).__name__, (type(value),), body)
        return kind(value)
    body["__getattr__"] = lambda self, name: getattr(value, name)
    kind = type(type(value).__name__, (), body)
    return kind()
