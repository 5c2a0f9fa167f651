"""Safetensors files whose bytes or headers lie.

The format: eight bytes of length, a JSON header that says of each tensor its dtype, its shape and
where in the rest of the file it lies, then that rest.
"""

import json
import random
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.hostile_models.case import Case, Ground, Place
from benchmarks.hostile_models.kinds import KINDS

Header = dict[str, Any]
Change = Callable[[bytes], bytes]

_KINDS = ("checkpoint", "VAE", "LoRA", "embedding", "upscaler")
_SUFFIX = ".safetensors"
_BYTES, _LIES, _METADATA = "cut or garbled", "header that lies", "metadata"


def cases() -> Iterator[Case]:
    """Cut and garbled files of every kind; each lie told by two kinds, in turn."""
    for kind in _KINDS:
        for label, change in _CUTS.items():
            yield _case(kind, _BYTES, label, change)
    kinds = cycle(_KINDS)
    for label, change in {**_GARBLED, **_LENGTHS}.items():
        for _ in range(2):
            yield _case(next(kinds), _BYTES, label, change)
    for label, lie in _ENTRIES.items():
        for _ in range(2):
            kind = next(kinds)
            works = (kind, label) in _HARMLESS
            yield _case(kind, _LIES, label, _with_header(lie), works=works)
    for label, lie in _ABOUT.items():
        for kind in ("checkpoint", "LoRA"):
            yield _case(kind, _METADATA, label, _with_header(lie), works=True)


def _case(kind: str, attack: str, label: str, change: Change, works: bool = False) -> Case:
    file = f"{kind}-{label}".replace(" ", "-").replace("/", "-") + _SUFFIX
    return Case(kind, attack, label, file, _changed(kind, change), works=works)


def _changed(kind: str, change: Change) -> Place:
    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(change(KINDS[kind].sound(_SUFFIX)))

    return place


def _split(whole: bytes) -> tuple[Header, bytes]:
    (length,) = struct.unpack("<Q", whole[:8])
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def _joined(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def _with_header(lie: Callable[[Header, int], bytes | Header]) -> Change:
    """`lie(header, length of the data)` is the new header."""

    def change(whole: bytes) -> bytes:
        header, data = _split(whole)
        new = lie(header, len(data))
        return _joined(new if isinstance(new, bytes) else json.dumps(new).encode(), data)

    return change


def _header_end(whole: bytes) -> int:
    return 8 + struct.unpack("<Q", whole[:8])[0]


_CUTS: Mapping[str, Change] = {
    "empty": lambda whole: b"",
    "cut within the length": lambda whole: whole[:5],
    "cut within the header": lambda whole: whole[: _header_end(whole) // 2],
    "cut within the data": lambda whole: whole[: (_header_end(whole) + len(whole)) // 2],
    "cut by one byte": lambda whole: whole[:-1],
}
_GARBLED: Mapping[str, Change] = {
    "noise": lambda whole: random.Random(len(whole)).randbytes(10_000),
    "zeros": lambda whole: bytes(10_000),
    "ones": lambda whole: b"\xff" * 10_000,
    "a web page": lambda whole: b"<!DOCTYPE html><title>Not found</title>" * 50,
    "one byte more": lambda whole: whole + b"\0",
    "a zip archive": lambda whole: b"PK\x03\x04" + whole,
    "a pickle": lambda whole: b"\x80\x02}q\0(X\x01\0\0\0aK\x01u.",
    "header of noise": lambda whole: _joined(random.Random(1).randbytes(500), whole),
}
_LENGTHS: Mapping[str, Change] = {
    f"header of {name} bytes": lambda whole, length=length: struct.pack("<Q", length) + whole[8:]
    for name, length in {
        "no": 0,
        "2^31": 2**31,
        "2^63": 2**63,
        "2^64 less one": 2**64 - 1,
        "100 million and one": 100_000_001,
        "99 million": 99_000_000,
    }.items()
}


def _first(header: Header) -> str:
    return next(name for name in header if name != "__metadata__")


def _entry(**changed: object) -> Callable[[Header, int], Header]:
    """The first tensor's entry with these members instead."""

    def lie(header: Header, size: int) -> Header:
        name = _first(header)
        return {**header, name: {**header[name], **changed}}

    return lie


def _all_at_zero(header: Header, size: int) -> Header:
    """Every tensor in the same bytes."""
    return {
        name: {**entry, "data_offsets": [0, entry["data_offsets"][1] - entry["data_offsets"][0]]}
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _twice(header: Header, size: int) -> bytes:
    name = _first(header)
    again = f"{json.dumps(name)}: {json.dumps(header[name])}, "
    return b"{" + again.encode() + json.dumps(header).encode()[1:]


def _without(member: str) -> Callable[[Header, int], Header]:
    def lie(header: Header, size: int) -> Header:
        name = _first(header)
        return {**header, name: {k: v for k, v in header[name].items() if k != member}}

    return lie


def _crowd(header: Header, size: int) -> Header:
    nothing = {"dtype": "F32", "shape": [0], "data_offsets": [size, size]}
    return {**header, **{f"t{number}": nothing for number in range(200_000)}}


#: What is beside the layers of a LoRA, and in a checkpoint none of its networks', is let be.
_HARMLESS = {
    ("checkpoint", "a name of a megabyte"),
    ("LoRA", "a name of a megabyte"),
}
_ENTRIES: Mapping[str, Callable[[Header, int], bytes | Header]] = {
    "a list": lambda header, size: b"[1, 2, 3]",
    "a number": lambda header, size: b"7",
    "nothing in it": lambda header, size: b"{}",
    "not UTF-8": lambda header, size: b'{"\xff\xfe": 1}',
    "nested 100,000 deep": lambda header, size: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a tensor twice": _twice,
    "tensors in each other's bytes": _all_at_zero,
    "200,000 tensors of nothing": _crowd,
    "an entry that is a list": lambda header, size: {**header, _first(header): [1, 2]},
    "no offsets": _without("data_offsets"),
    "no shape": _without("shape"),
    "no dtype": _without("dtype"),
    "offsets behind the end": _entry(data_offsets=[0, 2**40]),
    "offsets of 2^64": _entry(data_offsets=[2**64 - 8, 2**64]),
    "offsets in reverse": _entry(data_offsets=[64, 0]),
    "negative offsets": _entry(data_offsets=[-64, 0]),
    "three offsets": _entry(data_offsets=[0, 4, 8]),
    "offsets with fractions": _entry(data_offsets=[0.5, 64.5]),
    "a huge shape": _entry(shape=[2**40, 2**20]),
    "a shape that overflows": _entry(shape=[2**32, 2**32, 2**32]),
    "a shape of 10,000 sides": _entry(shape=[1] * 10_000),
    "a negative shape": _entry(shape=[-1, 64]),
    "a shape of texts": _entry(shape=["64", "64"]),
    "a shape that is a number": _entry(shape=64),
    "a shape of another size": _entry(shape=[3, 5, 7]),
    "an unknown dtype": _entry(dtype="F7"),
    "a dtype that is a number": _entry(dtype=16),
    "a dtype of another size": _entry(dtype="F64"),
    "a name of a megabyte": lambda header, size: {
        "x" * 1_000_000 if name == _first(header) else name: entry for name, entry in header.items()
    },
    "names of control characters": lambda header, size: {
        f"\0\x1b[31m\r\n{number}": entry for number, entry in enumerate(header.values())
    },
}
_ABOUT: Mapping[str, Callable[[Header, int], bytes | Header]] = {
    label: lambda header, size, about=about: {**header, "__metadata__": about}
    for label, about in {
        "20 MB of it": {"ss_tag_frequency": "x" * 20_000_000},
        "100,000 entries": {f"key{number}": "value" for number in range(100_000)},
        "JSON nested 50,000 deep": {"ss_tag_frequency": '{"a":' * 50_000 + "1" + "}" * 50_000},
        "JSON of huge numbers": {"ss_tag_frequency": '{"a": 1e99999, "b": ' + "9" * 5000 + "}"},
        "numbers": {"ss_output_name": 5, "modelspec.thumbnail": [1]},
        "a list": ["a", "b"],
        "control characters": {"ss_output_name": "\0\x1b[31m<script>\r\n", "\n": "\0"},
        "a lone surrogate": {"ss_output_name": "\ud800"},
        "an alias that is a path": {"ss_output_name": "../../../../etc/passwd"},
        "a hash that is none": {"sshs_model_hash": '<b>,:"\n' * 100},
    }.items()
}
