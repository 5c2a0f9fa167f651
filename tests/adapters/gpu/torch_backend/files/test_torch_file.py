"""What torch's loader would do as a file says, and we do not let it. Attacks by the hundred:
benchmarks/hostile_models."""

import io
import zipfile
from collections import OrderedDict

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.files import torch_file
from hexfusion.adapters.gpu.torch_backend.files.torch_file import load_torch
from hexfusion.domain.errors import CheckpointError

pytestmark = pytest.mark.torch

#: {"x": bytearray(5 * 2**30)}
ARRAY = b"\x80\x02}X\x01\x00\x00\x00xcbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x40\x01\x85Rs."


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.pt"


def rewritten(path, edit):
    """The archive with each entry as `edit(new archive, name, content)` writes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for each in old.infolist():
            edit(new, each.filename, old.read(each))
    path.write_bytes(made.getvalue())


def refuses(path, message):
    with pytest.raises(CheckpointError, match=message) as refused:
        load_torch(path, mmap=True)
    assert refused.value.file == str(path)
    return True


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("mmap", [True, False])
def test_what_files_of_models_hold_is_read(path, zipped, mmap):
    content = OrderedDict(
        float=torch.ones(2, 3),
        half=torch.ones(4).half(),
        bfloat=torch.ones(4).bfloat16(),
        eight=torch.ones(4).to(torch.float8_e4m3fn),
        whole=torch.arange(3),
        trained=torch.nn.Parameter(torch.ones(2)),
        scalar=torch.tensor(7.0),
        none=torch.empty(0),
        shape=torch.Size([1, 2]),
        dtype=torch.float16,
        about={"step": 5, "name": "x", "list": [1, 2.5, None, True]},
    )
    if not zipped:  # which torch itself cannot read
        del content["eight"]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = load_torch(path, mmap=mmap)
    assert isinstance(found, dict)
    assert found.keys() == content.keys()
    assert all(torch.equal(found[n], t) for n, t in content.items() if isinstance(t, torch.Tensor))
    assert (found["shape"], found["dtype"], found["about"]) == (
        (1, 2),
        torch.float16,
        content["about"],
    )


def test_what_trainers_noted_is_nothing(path):
    """As in the first releases' `.ckpt` files: callbacks by their classes, numpy's numbers."""
    torch.save({"state_dict": {"x": torch.ones(3)}, "notes": 1}, path)
    notes = (
        b"}(cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n"
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"
        b"(K\x03X\x01\x00\x00\x00<NNNtbC\x0812345678tR"
        b"X\x01\x00\x00\x00mcpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n)\x81}bu"
    )
    value = b"X\x05\x00\x00\x00notes"

    def edit(new, name, old):
        if "data.pkl" in name:
            assert old.endswith(b"K\x01u.")
            old = old[:-4] + notes.replace(b"C\x08", b"X\x08\x00\x00\x00") + b"u."
            assert value in old
        new.writestr(name, old)

    rewritten(path, edit)
    found = load_torch(path, mmap=False)
    assert isinstance(found, dict)
    assert torch.equal(found["state_dict"]["x"], torch.ones(3))
    assert all(type(each).__name__ == "_Nothing" for each in list(found["notes"].values()))


def test_two_tensors_of_one_storage_are_what_the_file_holds(path):
    whole = torch.arange(1000.0)
    torch.save({"a": whole[:500], "b": whole, "c": [whole.reshape(10, 100)]}, path)
    assert load_torch(path, mmap=False)


def test_a_large_file_is_mapped_only(path, monkeypatch):
    """A file that is cut while it is mapped ends the process: only the large ones are worth it."""
    torch.save({"a": torch.ones(10)}, path)
    asked = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k["mmap"]) or load(*a, **k))
    load_torch(path, mmap=True)
    monkeypatch.setattr(torch_file, "_LARGE", 10)
    load_torch(path, mmap=True)
    load_torch(path, mmap=False)
    assert asked == [False, True, False]


@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_of_any_size_are_not_made(path, zipped):
    """The weights-only loader would fill five gigabytes with zeros."""
    torch.save({"x": 1}, path, _use_new_zipfile_serialization=zipped)
    if zipped:
        rewritten(path, lambda new, n, old: new.writestr(n, ARRAY if "data.pkl" in n else old))
    else:
        path.write_bytes(ARRAY)
    assert refuses(path, r"asks for 'builtins\.bytearray'")


def test_tensors_out_of_nothing_are_not_made(path):
    torch.save({"x": torch.ones(3)}, path)
    program = b"\x80\x02}X\x01\x00\x00\x00xctorch\nFloatTensor\n\x8a\x05\x00\x00\x00\x40\x01\x85Rs."
    rewritten(path, lambda new, n, old: new.writestr(n, program if "data.pkl" in n else old))
    assert refuses(path, r"asks for 'torch\.FloatTensor'")


def test_compressed_archives_are_refused(path):
    """Mapped, their tensors would be noise; read, they may be of any size."""
    torch.save({"x": torch.zeros(1000)}, path)
    rewritten(path, lambda new, n, old: new.writestr(n, old, zipfile.ZIP_DEFLATED))
    assert refuses(path, "compressed archive")


def test_an_archive_has_one_pickle(path):
    torch.save({"x": torch.zeros(10)}, path)
    rewritten(path, lambda new, n, old: None if "data.pkl" in n else new.writestr(n, old))
    assert refuses(path, "0 pickles")


def test_entries_hold_no_more_than_the_file(path):
    torch.save({"x": torch.zeros(10)}, path)
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x01\x02")
    path.write_bytes(whole[: at + 20] + b"\xf0\xff\xff\xff" * 2 + whole[at + 28 :])
    assert refuses(path, "claims more than it holds")


def test_storages_hold_no_more_than_the_file(path):
    """A class of storages can be called for one of any size, which a tensor then has."""
    torch.save({"x": torch.zeros(3)}, path)
    program = (
        b"\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n(ctorch\nFloatStorage\n"
        b"J\x40\x42\x0f\x00\x85RK\x00J\x40\x42\x0f\x00\x85K\x01\x85\x89ccollections\nOrderedDict\n"
        b")RtRs."
    )
    rewritten(path, lambda new, n, old: new.writestr(n, program if "data.pkl" in n else old))
    assert refuses(path, "claims more numbers than the file holds|not a sound|more than plain")


def test_endless_programs_are_not_run(path, monkeypatch):
    monkeypatch.setattr(torch_file, "_MOST_STEPS", 1000)
    path.write_bytes(b"\x80\x02" + b"]0" * 501 + b"}.")
    assert refuses(path, "more than 1000 instructions")


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3f", b"PK\x03\x04", b"PK\x03\x04" * 9],
)
def test_damaged_files_are_named(path, content):
    path.write_bytes(content)
    assert refuses(path, "is not a sound torch file")
