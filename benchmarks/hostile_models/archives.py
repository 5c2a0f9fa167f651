"""Torch files whose zip archives lie: sizes, places, compression, names."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

from benchmarks.hostile_models.case import Case, Ground
from benchmarks.hostile_models.kinds import KINDS

Change = Callable[[bytes], bytes]

_TORCH_KINDS = ("LoRA", "embedding", "hypernetwork", "upscaler", "VAE", "checkpoint")


def cases() -> Iterator[Case]:
    kinds = cycle(_TORCH_KINDS)
    for label, change in _CHANGES.items():
        for _ in range(2):
            yield _case(next(kinds), label, change)
    for kind in _TORCH_KINDS:
        yield _case(kind, "cut in half", lambda whole: whole[: len(whole) // 2])
        yield _case(kind, "empty", lambda whole: b"")
    for kind in ("hypernetwork", "checkpoint"):
        yield _case(kind, "noise", lambda whole: bytes(range(256)) * 40)
        yield _case(kind, "a safetensors file", lambda whole: KINDS["LoRA"].sound(".safetensors"))


def _case(kind: str, label: str, change: Change) -> Case:
    suffix = KINDS[kind].torch_suffix
    file = f"{kind}-{label}{suffix}".replace(" ", "-")

    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(change(KINDS[kind].sound(suffix)))

    return Case(kind, "archive", label, file, place, works=label in _HARMLESS)


def _rewritten(
    whole: bytes, edit: Callable[[zipfile.ZipFile, str, bytes], None], more: bool = False
) -> bytes:
    """The archive with each entry written by `edit(new archive, name, content)`."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            edit(new, entry.filename, old.read(entry))
    return made.getvalue()


def _deflated(whole: bytes) -> bytes:
    """As it is, but compressed: torch never does that."""

    def edit(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        new.writestr(name, content, zipfile.ZIP_DEFLATED)

    return _rewritten(whole, edit)


def _bomb(ending: str, content: Callable[[bytes], bytes]) -> Change:
    """With a compressed entry that is a thousand times as large as it looks."""

    def edit(new: zipfile.ZipFile, name: str, old: bytes) -> None:
        if name.endswith(ending):
            new.writestr(name, content(old), zipfile.ZIP_DEFLATED)
        else:
            new.writestr(name, old)

    return lambda whole: _rewritten(whole, edit)


def _renamed(old: str, new_name: str) -> Change:
    def edit(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        new.writestr(name.replace(old, new_name), content)

    return lambda whole: _rewritten(whole, edit)


def _without(ending: str) -> Change:
    def edit(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        if not name.endswith(ending):
            new.writestr(name, content)

    return lambda whole: _rewritten(whole, edit)


def _cut_storage(whole: bytes) -> bytes:
    def edit(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        new.writestr(name, content[:4] if name.endswith("/data/0") else content)

    return _rewritten(whole, edit)


def _crowd(whole: bytes) -> bytes:
    made = io.BytesIO(whole)
    with zipfile.ZipFile(made, "a") as archive:
        for number in range(70_000):
            archive.writestr(f"x/{number}", b"")
    return made.getvalue()


def _claiming(size: int) -> Change:
    """The last entry of the central directory claims another size than it has."""

    def change(whole: bytes) -> bytes:
        at = whole.rindex(b"PK\x01\x02")
        return whole[: at + 20] + struct.pack("<II", size, size) + whole[at + 28 :]

    return change


def _placed_at(offset: int) -> Change:
    """The last entry of the central directory lies elsewhere."""

    def change(whole: bytes) -> bytes:
        at = whole.rindex(b"PK\x01\x02")
        return whole[: at + 42] + struct.pack("<I", offset) + whole[at + 46 :]

    return change


def _encrypted(whole: bytes) -> bytes:
    """Every entry says that it is."""
    changed = bytearray(whole)
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + flags] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


def _zip64(whole: bytes) -> bytes:
    """An end of zip64 that says there are 2^62 entries, 2^62 bytes in."""
    at = whole.rindex(b"PK\x05\x06")
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**62, 2**62, 2**62, 2**62)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1)
    end = bytearray(whole[at:])
    end[8:20] = b"\xff" * 12
    return whole[:at] + record + locator + bytes(end)


def _comment(whole: bytes) -> bytes:
    made = io.BytesIO(whole)
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = b"PK\x05\x06" * 16_000
    return made.getvalue()


def _swapped(whole: bytes) -> bytes:
    """A tensor that is said to be where the pickle is."""
    return whole.replace(b"/data/0", b"/../../")


def _two(whole: bytes) -> bytes:
    """Two pickles of one name: readers differ in which they take."""
    made = io.BytesIO(whole)
    with zipfile.ZipFile(made, "a") as archive:
        name = next(each for each in archive.namelist() if each.endswith("/data.pkl"))
        archive.writestr(name, b"\x80\x02cos\nmkdir\n(X\x01\x00\x00\x00xtR.")
    return made.getvalue()


_HARMLESS = frozenset({"a long comment", "a crowd of entries"})
_CHANGES: Mapping[str, Change] = {
    "compressed": _deflated,
    "a pickle of 400 MB compressed": _bomb("/data.pkl", lambda old: old + bytes(400_000_000)),
    "a pickle of 40 million lists compressed": _bomb(
        "/data.pkl", lambda old: b"\x80\x02" + b"]" * 40_000_000 + b"."
    ),
    "tensors of 400 MB compressed": _bomb("/data/0", lambda old: bytes(400_000_000)),
    "no pickle": _without("/data.pkl"),
    "no tensors": _without("/data/0"),
    "tensors cut short": _cut_storage,
    "names that climb out": _renamed("archive/", "../../../../tmp/"),
    "absolute names": _renamed("archive/", "/etc/"),
    "tensors by a name that climbs": _swapped,
    "a crowd of entries": _crowd,
    "an entry of 4 GB": _claiming(0xFFFFFFFE),
    "an entry of zip64 without one": _claiming(0xFFFFFFFF),
    "an entry at the end": _placed_at(0xFFFFFFF0),
    "an entry within another": _placed_at(3),
    "encrypted": _encrypted,
    "2^62 entries": _zip64,
    "a long comment": _comment,
    "two pickles": _two,
}
