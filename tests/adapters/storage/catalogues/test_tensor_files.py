"""What lists read of files of tensors, and what they do not let themselves in for."""

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from hexfusion.adapters.storage.catalogues import torch_pickle
from hexfusion.adapters.storage.catalogues.tensor_files import read_content, read_header
from hexfusion.adapters.storage.catalogues.torch_pickle import read_pickles
from hexfusion.adapters.storage.folders import open_file


def test_a_header_nested_deep_is_no_header():
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    with pytest.raises(ValueError, match="nested too deep"):
        read_header(io.BytesIO(struct.pack("<Q", len(deep)) + deep))


def test_a_compressed_pickle_is_not_inflated():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + b"]" * 1_000_000 + b".")
    made.seek(0)
    with pytest.raises(ValueError, match="compressed"):
        read_content(made, ".pt")


def test_endless_programs_are_not_run(monkeypatch):
    monkeypatch.setattr(torch_pickle, "_MOST_STEPS", 1000)
    assert read_pickles(io.BytesIO(b"\x80\x02" + b"]0" * 400 + b"}."), 1) == [{}]
    with pytest.raises(ValueError, match="more than 1000"):
        read_pickles(io.BytesIO(b"\x80\x02" + b"]0" * 501 + b"}."), 1)


def test_a_text_longer_than_memory_is_none():
    with pytest.raises(ValueError, match="only 0 remain"):
        read_pickles(io.BytesIO(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3f"), 1)


def test_regular_files_are_opened(tmp_path):
    (tmp_path / "x").write_bytes(b"content")
    with open_file(tmp_path / "x") as file:
        assert file.read() == b"content"


def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        open_file(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no regular file"):
        open_file(tmp_path / "link")


def test_the_kernels_files_are_empty():
    """They say so, and some of them never end."""
    with open_file(Path("/proc/self/environ")) as file:
        assert file.read() == b""
