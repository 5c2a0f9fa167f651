"""A hostile file, and what a server may make of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hostile_models.kinds import KINDS, Kind


@dataclass(frozen=True)
class Ground:
    """Where the files of a trial may reach out to, all outside of the models' folders.

    `proof` is a folder that stays empty unless a file's code runs, `outside` one with a sound
    file of each kind (`secret` and its ending) and a text file nobody may be told (`secret.txt`).
    """

    proof: Path
    outside: Path


Place = Callable[[Path, Ground], None]
"""Puts a file at a path, whose folder is there."""


@dataclass(frozen=True)
class Case:
    """One file.

    `attack` is its class, `label` what is wrong with it, `file` its name, or its path below the
    kind's folder. `change` comes between listing it and asking for it. `asked` is how requests
    call it, if not by its name. `works` allows that it is used as if nothing were wrong, since
    nothing that matters is; `quiet` that it is absent from lists and nobody is told why, since
    everybody knows: it is no file, or hidden.
    """

    kind: str
    attack: str
    label: str
    file: str
    place: Place
    change: Place | None = None
    asked: str = ""
    works: bool = False
    quiet: bool = False

    @property
    def of(self) -> Kind:
        return KINDS[self.kind]

    @property
    def word(self) -> str:
        """How lists and requests call it."""
        return self.asked or self.of.word(Path(self.file).name)

    def __str__(self) -> str:
        return f"{self.kind}, {self.attack}: {self.label}"


def content(data: bytes) -> Place:
    """A file of these bytes."""

    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(data)

    return place
