"""Torch files whose pickles are programs: to run code, or to fill memory.

Every program that runs code makes a folder, which proves that it ran. They are written down as
instructions of the pickle machine (Python's `pickletools` explains them), so nothing is pickled.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

from benchmarks.hostile_models.case import Case, Ground
from benchmarks.hostile_models.kinds import KINDS, torch_bytes

Program = Callable[[str], bytes]
"""The instructions that make a folder of that name, or do other harm."""

_CODE, _BOMBS = "pickled code", "pickle that swells"
_TORCH_KINDS = ("checkpoint", "VAE", "LoRA", "embedding", "hypernetwork", "upscaler")


def cases() -> Iterator[Case]:
    """Each program as a file of its own and in a sound archive, by another kind each time."""
    kinds = cycle(_TORCH_KINDS)
    for label, program in _PROGRAMS.items():
        yield _case(next(kinds), _CODE, label, program, as_file)
        yield _case(next(kinds), _CODE, f"{label}, in an archive", program, in_archive)
    for label, program in _SWELLING.items():
        yield _case(next(kinds), _BOMBS, label, program, as_file)
        yield _case(next(kinds), _BOMBS, f"{label}, in an archive", program, in_archive)
    for kind in ("checkpoint", "embedding"):
        for label, wrapped in _HIDDEN.items():
            yield _case(kind, _CODE, label, _PROGRAMS["os.mkdir"], wrapped)


def _case(
    kind: str,
    attack: str,
    label: str,
    program: Program,
    wrapped: Callable[[bytes, str], bytes],
) -> Case:
    file = f"{kind}-{label}".replace(" ", "-").replace("/", "-").replace(",", "")
    file += ".bin" if kind == "embedding" and "archive" in label else KINDS[kind].torch_suffix

    def place(path: Path, ground: Ground) -> None:
        proof = ground.proof / path.stem
        path.write_bytes(wrapped(program(str(proof)), kind))

    return Case(kind, attack, label, file, place)


def as_file(program: bytes, kind: str) -> bytes:
    """As files were before torch 1.6: the program where the tensors are, after what leads in."""
    lead = torch_bytes({}, legacy=True)
    magic = lead.index(b".") + 1
    protocol = lead.index(b".", magic) + 1
    system = lead.index(b".", lead.index(b"type_sizes", protocol)) + 1
    return lead[:system] + program + b"\x80\x02]."


def bare(program: bytes, kind: str) -> bytes:
    """The program alone."""
    return program


def in_archive(program: bytes, kind: str) -> bytes:
    """In place of a sound archive's pickle."""
    return _replaced(KINDS[kind].sound(KINDS[kind].torch_suffix), program)


def _replaced(archive: bytes, program: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            pickled = entry.filename.endswith("/data.pkl")
            new.writestr(entry.filename, program if pickled else old.read(entry))
    return made.getvalue()


def _leading(program: bytes, kind: str) -> bytes:
    """In place of the pickle that says which system saved a file of the old format."""
    return program + KINDS[kind].sound(KINDS[kind].torch_suffix)


def _in_a_key(program: bytes, kind: str) -> bytes:
    """As a key of the dictionary."""
    return in_archive(b"\x80\x02}" + program[2:-1] + b"K\x01s.", kind)


def _among_values(program: bytes, kind: str) -> bytes:
    return in_archive(b"\x80\x02}X\x04\x00\x00\x00stepK\x05s" + _entry(program) + b".", kind)


def _entry(program: bytes) -> bytes:
    return b"X\x04\x00\x00\x00name" + program[2:-1] + b"s"


def _in_torchscript(program: bytes, kind: str) -> bytes:
    """As TorchScript archives have it: another pickle, code and constants."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("m/data.pkl", program)
        archive.writestr("m/constants.pkl", program)
        archive.writestr("m/code/__torch__.py", "import os\n")
        archive.writestr("m/version", "3\n")
    return made.getvalue()


def _in_tar(program: bytes, kind: str) -> bytes:
    """As in torch's first releases."""
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            entry = tarfile.TarInfo(name)
            entry.size = len(program)
            archive.addfile(entry, io.BytesIO(program))
    return made.getvalue()


_HIDDEN: Mapping[str, Callable[[bytes, str], bytes]] = {
    "os.mkdir, bare": bare,
    "os.mkdir, before all else": _leading,
    "os.mkdir, as a key": _in_a_key,
    "os.mkdir, among values": _among_values,
    "os.mkdir, in TorchScript": _in_torchscript,
    "os.mkdir, in a tar archive": _in_tar,
}


def _text(text: str) -> bytes:
    """BINUNICODE."""
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _called(module: str, name: str, *arguments: str) -> bytes:
    """GLOBAL, a tuple, REDUCE."""
    texts = b"".join(map(_text, arguments))
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + texts + b"tR."


def _code(path: str) -> str:
    return f"__import__('os').mkdir({path!r})"


def _nested(module: str, name: str, inner: bytes) -> bytes:
    """A call with the inner program's bytes for its argument (SHORT_BINBYTES or BINBYTES)."""
    return (
        b"\x80\x03c"
        + f"{module}\n{name}\n".encode()
        + b"B"
        + struct.pack("<I", len(inner))
        + (inner + b"\x85R.")
    )


_PROGRAMS: Mapping[str, Program] = {
    "os.mkdir": lambda path: _called("os", "mkdir", path),
    "posix.mkdir": lambda path: _called("posix", "mkdir", path),
    "os.system": lambda path: _called("os", "system", f"mkdir '{path}'"),
    "subprocess": lambda path: (
        b"\x80\x02csubprocess\nPopen\n](" + _text("mkdir") + _text(path) + b"e\x85R."
    ),
    "eval": lambda path: _called("builtins", "eval", _code(path)),
    "exec": lambda path: _called("builtins", "exec", _code(path)),
    "eval of Python 2": lambda path: _called("__builtin__", "eval", _code(path)),
    "INST": lambda path: b"(" + _text(path) + b"ios\nmkdir\n.",
    "OBJ": lambda path: b"(cos\nmkdir\n" + _text(path) + b"o.",
    "STACK_GLOBAL": lambda path: (
        b"\x80\x04" + _text("os") + _text("mkdir") + b"\x93" + _text(path) + b"\x85R."
    ),
    "NEWOBJ": lambda path: b"\x80\x02cbuiltins\neval\n" + _text(_code(path)) + b"\x85\x81.",
    "NEWOBJ_EX": lambda path: b"\x80\x04cbuiltins\neval\n" + _text(_code(path)) + b"\x85}\x92.",
    "BUILD": lambda path: (
        b"\x80\x02ctorch.nn.parameter\nParameter\n)\x81}"
        + _text("__setstate__")
        + b"cos\nmkdir\ns"
        + b"b"
        + _text(path)
        + b"b."
    ),
    "a protocol-0 call": lambda path: f"cos\nmkdir\np0\n(V{path}\np1\ntp2\nRp3\n.".encode(),
    "an attribute's attribute": lambda path: (
        b"\x80\x04" + _text("torch") + _text("os.mkdir") + b"\x93" + _text(path) + b"\x85R."
    ),
    "runpy": lambda path: _called("runpy", "_run_code", _code(path)),
    "importlib": lambda path: _called("importlib", "import_module", "antigravity"),
    "getattr": lambda path: (
        b"\x80\x02cbuiltins\ngetattr\ncos\n__dict__\n"
        + _text("mkdir")
        + b"\x86R"
        + _text(path)
        + b"\x85R."
    ),
    "torch.hub": lambda path: _called("torch.hub", "load", path, "x", "local"),
    "torch.load": lambda path: _called("torch", "load", path),
    "a storage's own loader": lambda path: _nested(
        "torch.storage", "_load_from_bytes", _called("os", "mkdir", path)
    ),
    "pickle.loads": lambda path: _nested("pickle", "loads", _called("os", "mkdir", path)),
    "numpy's loader": lambda path: _nested("numpy", "load", _called("os", "mkdir", path)),
    "torch's type rebuilder": lambda path: (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nmkdir\nctorch\nTensor\n("
        + _text(path)
        + b"tNtR."
    ),
    "torch's subclass rebuilder": lambda path: (
        b"\x80\x02ctorch._utils\n_rebuild_wrapper_subclass\n(cos\nmkdir\n" + _text(path) + b"tR."
    ),
    "an extension code": lambda path: b"\x80\x02\x82\x01.",
    "a name of look-alike letters": lambda path: _called("\u043es", "mkdir", path),
    "a persistent identity": lambda path: (
        b"\x80\x02(" + _text("storage") + b"cos\nmkdir\n" + _text(path) + _text("cpu") + b"K\x01tQ."
    ),
    "functools.partial": lambda path: (
        b"\x80\x02cfunctools\npartial\ncos\nmkdir\n" + _text(path) + b"\x86R)R."
    ),
    "ctypes": lambda path: _called("ctypes", "CDLL", "libc.so.6"),
    "codecs": lambda path: _called("_codecs", "encode", path, "no_such_codec"),
}


def _array(size: int) -> bytes:
    """bytearray(size), which is filled with zeros."""
    return (
        b"\x80\x02cbuiltins\nbytearray\nM"
        + struct.pack("<H", 0)
        + b"\x85R0"
        + (b"cbuiltins\nbytearray\n\x8a\x06" + size.to_bytes(6, "little") + b"\x85R.")
    )


def _doubling(times: int) -> bytes:
    """[x, x] where x is [y, y] where ... : small in memory, endless to walk through."""
    program = b"\x80\x02]q\0"
    for number in range(times):
        program += b"](h" + bytes([number]) + b"h" + bytes([number]) + b"eq" + bytes([number + 1])
    return program + b"."


def _tensor(numbers: int, sides: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A dictionary of one tensor of floats that claims those sides over that many numbers."""
    program = b"\x80\x02}" + _text("emb_params") + b"ctorch._utils\n_rebuild_tensor_v2\n(("
    program += _text("storage") + b"ctorch\nFloatStorage\n" + _text("0") + _text("cpu")
    program += _long(numbers) + b"tQK\0(" + b"".join(map(_long, sides)) + b"t("
    program += b"".join(map(_long, strides)) + b"t\x89ccollections\nOrderedDict\n)RtRs."
    return program


def _long(number: int) -> bytes:
    return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)


def _storage(name: str, size: int) -> bytes:
    """A storage of that size out of nothing, by calling its class."""
    return (
        b"\x80\x02}"
        + _text("emb_params")
        + b"ctorch\n"
        + name.encode()
        + b"\n"
        + (_long(size) + b"\x85Rs.")
    )


_SWELLING: Mapping[str, Program] = {
    "an array of 1.5 GB": lambda path: _array(3 * 2**29),
    "an array of 2^47 bytes": lambda path: _array(2**47),
    "lists that double 200 times": lambda path: _doubling(200),
    "lists nested 100,000 deep": lambda path: b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "tuples nested 100,000 deep": lambda path: b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "five million lists": lambda path: b"\x80\x02" + b"]0" * 5_000_000 + b"}.",
    "a million marks": lambda path: b"\x80\x02" + b"(" * 1_000_000 + b".",
    "a text of 2^62 letters": lambda path: b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "a number of 2^31 bytes": lambda path: b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",
    "a frame of 2^62 bytes": lambda path: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"}.",
    "a list within itself": lambda path: b"\x80\x02]q\0h\0a.",
    "no end": lambda path: b"\x80\x02}",
    "nothing on the stack": lambda path: b"\x80\x0200000.",
    "a memo that is not there": lambda path: b"\x80\x02h\x63.",
    "a memo at 2^31": lambda path: b"\x80\x02}r\xff\xff\xff\x7f.",
    "a protocol of 255": lambda path: b"\x80\xff}.",
    "a number instead": lambda path: b"\x80\x02K\x07.",
    "a key that cannot be one": lambda path: b"\x80\x02}]K\x01s.",
    "numbers for keys": lambda path: b"\x80\x02}(K\x01K\x02K\x40K\x04u.",
    "a tensor of 2^40 numbers": lambda path: _tensor(2**40, (2**40,), (1,)),
    "a tensor of one number 2^34 times": lambda path: _tensor(1, (2**17, 2**17), (0, 0)),
    "a tensor of 500 million numbers": lambda path: _tensor(500_000_000, (500_000_000,), (1,)),
    "a tensor of negative sides": lambda path: _tensor(64, (-1, -64), (64, 1)),
    "a tensor of 2^63 strides": lambda path: _tensor(64, (2, 64), (2**63 - 1, 2**62)),
    "a tensor out of a class": lambda path: _storage("FloatTensor", 500_000_000),
    "a storage out of a class": lambda path: _storage("FloatStorage", 500_000_000),
}
