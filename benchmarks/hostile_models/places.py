"""Files in wrong places: links out of the folders, devices, names, and files that change."""

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.hostile_models.case import Case, Ground, Place
from benchmarks.hostile_models.kinds import KINDS, Kind

_LINKS, _NO_FILES = "link", "no file"
_NAMES, _CHANGES = "name", "changes after listing"


def suffix_of(kind: Kind) -> str:
    return ".safetensors" if kind.safetensors else kind.torch_suffix


def cases() -> Iterator[Case]:
    """Everything with every kind in turn, and changes with each."""
    kinds = list(KINDS)
    for index, (label, place) in enumerate(_LINKED.items()):
        for step in range(2):
            kind = kinds[(index + step * 3) % len(kinds)]
            works = label in ("to a sound file outside", "hard")
            yield _case(kind, _LINKS, label, place, works=works, quiet="nothing" in label)
    for index, (label, place) in enumerate(_SPECIAL.items()):
        for step in range(3):
            kind = kinds[(index + 2 * step) % len(kinds)]
            yield _case(kind, _NO_FILES, label, place, quiet=True)
    yield from _in_folders()
    yield from _named(kinds)
    for kind in kinds:
        for label, change in _CHANGED.items():
            yield _case(kind, _CHANGES, label, sound, change=change)


def sound(path: Path, ground: Ground) -> None:
    """A file that is all right, of the kind that lies in that folder."""
    path.write_bytes(_kind_at(path).sound(path.suffix))


def _kind_at(path: Path) -> Kind:
    return next(kind for kind in KINDS.values() if f"/{kind.folder}/" in f"{path.as_posix()}/")


def _case(
    kind: str,
    attack: str,
    label: str,
    place: Place,
    change: Place | None = None,
    works: bool = False,
    quiet: bool = False,
) -> Case:
    file = f"{kind}-{attack}-{label}".replace(" ", "-").replace("/", "-") + suffix_of(KINDS[kind])
    return Case(kind, attack, label, file, place, change=change, works=works, quiet=quiet)


def _link(target: str) -> Place:
    def place(path: Path, ground: Ground) -> None:
        path.symlink_to(ground.outside / target)

    return place


def _sound_outside(path: Path, ground: Ground) -> None:
    kind = _kind_at(path)
    target = ground.outside / f"secret-{kind.name}{path.suffix}"
    target.write_bytes(kind.sound(path.suffix))
    path.symlink_to(target)


def _hard(path: Path, ground: Ground) -> None:
    target = ground.outside / f"hard-{path.name}"
    target.write_bytes(_kind_at(path).sound(path.suffix))
    os.link(target, path)


def _two_links(path: Path, ground: Ground) -> None:
    path.symlink_to(f"{path.name}.other")
    path.with_name(f"{path.name}.other").symlink_to(path.name)


_LINKED: Mapping[str, Place] = {
    "to a secret outside": _link("secret.txt"),
    "to a sound file outside": _sound_outside,
    "to nothing": _link("is-not-there"),
    "to /etc/passwd": _link("/etc/passwd"),
    "to itself, so to nothing": lambda path, ground: path.symlink_to(path.name),
    "in a circle, so to nothing": _two_links,
    "to the process's environment": _link("/proc/self/environ"),
    "to the process's memory": _link("/proc/self/mem"),
    "to the kernel's messages": _link("/proc/kmsg"),
    "hard": _hard,
}


def _fifo(path: Path, ground: Ground) -> None:
    os.mkfifo(path)


def _socket(path: Path, ground: Ground) -> None:
    """Bound by a short relative name: the names of sockets may not be long."""
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


_SPECIAL: Mapping[str, Place] = {
    "a pipe": _fifo,
    "a socket": _socket,
    "a folder": lambda path, ground: path.mkdir(),
    "the zero device": _link("/dev/zero"),
    "the random device": _link("/dev/urandom"),
    "the terminal": _link("/dev/tty"),
    "standard input": _link("/dev/stdin"),
}


def _in_folders() -> Iterator[Case]:
    """Folders that are links: out of the root, back up, and in a circle."""

    def circle(path: Path, ground: Ground) -> None:
        sound(path, ground)
        (path.parent / "again").symlink_to(path.parent)

    def up(path: Path, ground: Ground) -> None:
        sound(path, ground)
        (path.parent / "up").symlink_to("/")

    def outside(path: Path, ground: Ground) -> None:
        path.parent.rmdir()
        path.parent.symlink_to(ground.outside)
        (ground.outside / path.name).write_bytes(b"garbage")

    for kind in ("LoRA", "embedding"):
        suffix = suffix_of(KINDS[kind])
        yield Case(kind, _LINKS, "folder in a circle", f"a/circle{suffix}", circle, works=True)
        yield Case(kind, _LINKS, "folder out of the root", f"out/{kind}-beyond{suffix}", outside)
    del up  # the whole disk would be walked through, as by A1111: whoever links it wants it


def _named(kinds: list[str]) -> Iterator[Case]:
    """Sound files by odd names: used under them, or not listed; and nowhere else."""
    for index, (label, stem) in enumerate(_STEMS.items()):
        for step in range(2):
            kind = kinds[(index + step) % len(kinds)]
            file = stem + suffix_of(KINDS[kind])
            yield Case(kind, _NAMES, label, file, sound, works=True, quiet=True)
    for index, (label, word) in enumerate(_WORDS.items()):
        for step in range(2):
            kind = kinds[(index + step) % len(kinds)]
            found = KINDS[kind]
            file = f"asked-{index}-{step}{suffix_of(found)}"
            asked = word if found.by_stem else word + suffix_of(found)
            yield Case(kind, "name in a request", label, file, sound, asked=asked, quiet=True)


_STEMS: Mapping[str, str] = {
    "line breaks": "a\nb\r\nc",
    "an escape sequence": "a\x1b[31m\x07b",
    "not UTF-8": "a\udcff\udcfeb",
    "250 letters": "n" * 238,
    "written from right to left": "a\u202egnp.\u202cb",
    "look-alike letters": "h\u0435xfusion-starter",
    "hidden": ".hidden",
    "markup": "<script>alert(1)<",
    "colons and commas": "a:b,c:1",
    "backslashes": "..\\..\\windows",
    "dots": "..x..",
    "a dash in front": "-rf",
    "blanks": "  a b  ",
    "a percent sign": "%2e%2e%2f%00",
    "a quote": "a\"b'c`$(id)",
    "another case": "HEXFUSION-STARTER",
    "a null escape": "a\\0\\x00b",
    "None": "None",
    "a letter and its accent": "e\u0301",
    "brackets": "a [b] (c:1.5) {d}",
}
_WORDS: Mapping[str, str] = {
    "climbs out": "../../outside/secret",
    "absolute": "/etc/passwd",
    "a null character": "secret\0.txt",
    "another separator": "..\\..\\outside\\secret",
    "a web address": "http://127.0.0.1:1/x",
    "100,000 letters": "x" * 100_000,
}


def _gone(path: Path, ground: Ground) -> None:
    path.unlink()


def _garbled(path: Path, ground: Ground) -> None:
    path.write_bytes(b"garbage" * 500)


def _now_a_fifo(path: Path, ground: Ground) -> None:
    path.unlink()
    os.mkfifo(path)


def _now_a_folder(path: Path, ground: Ground) -> None:
    path.unlink()
    path.mkdir()


def _now_a_device(path: Path, ground: Ground) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _now_cut(path: Path, ground: Ground) -> None:
    os.truncate(path, path.stat().st_size // 2)


_CHANGED: Mapping[str, Place] = {
    "gone": _gone,
    "garbled": _garbled,
    "cut": _now_cut,
    "now a pipe": _now_a_fifo,
    "now a folder": _now_a_folder,
    "now a device": _now_a_device,
}
