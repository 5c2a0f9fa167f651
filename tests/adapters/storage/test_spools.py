"""Spools in files and in memory keep the contract; nothing is left of those in files."""

import errno
import gc
import os
from pathlib import Path

import pytest

from hexfusion.adapters.storage import from_flags as storage
from hexfusion.adapters.storage.results import spool_files
from hexfusion.adapters.storage.results.spool_files import FileSpool
from hexfusion.adapters.storage.results.spool_memory import MemorySpool
from hexfusion.application.ports.spool import SpoolError
from hexfusion.domain.flags import FlagError, parse_flags
from tests.contracts.spool import SpoolContract
from tests.open_files import nameless_files


class TestFileSpool(SpoolContract):
    @pytest.fixture
    def open_spool(self, tmp_path: Path):
        return lambda: FileSpool(tmp_path)

    @pytest.fixture
    def full(self, tmp_path: Path, monkeypatch):
        """A disk that takes half of a write that does not fit, as disks do, and no byte more."""
        left = 1000

        class Disk:
            def __init__(self, file):
                self._file = file
                self.close, self.fileno = file.close, file.fileno

            def write(self, data) -> int:
                nonlocal left
                if not left:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written = self._file.write(data[:left])
                left -= written
                return written

        make = spool_files.tempfile.TemporaryFile
        monkeypatch.setattr(spool_files.tempfile, "TemporaryFile", lambda **how: Disk(make(**how)))
        return FileSpool(tmp_path)

    def test_the_file_has_no_name_and_is_gone_with_the_spool(self, tmp_path: Path):
        before = nameless_files(tmp_path)
        spools = [FileSpool(tmp_path) for _ in range(20)]
        assert nameless_files(tmp_path) == before, "nothing is opened for an empty one"
        for spool in spools:
            spool.append([b"bytes"])
        assert nameless_files(tmp_path) == before + 20
        assert not list(tmp_path.iterdir())
        spools[0].close()
        assert nameless_files(tmp_path) == before + 19
        del spools, spool
        gc.collect()
        assert nameless_files(tmp_path) == before

    def test_a_folder_that_is_gone(self, tmp_path: Path):
        spool = FileSpool(tmp_path / "gone")
        with pytest.raises(SpoolError, match=r"gone: No such file or directory \(--spool-dir\)"):
            spool.append([b"bytes"])

    def test_a_folder_in_which_no_file_can_be_made_is_refused_at_start(self, tmp_path: Path):
        flags = parse_flags(["--spool-dir", str(tmp_path / "no")], {}, absolute=os.path.abspath)
        with pytest.raises(FlagError, match="--spool-dir: no file can be made in it"):
            storage.open_spool(flags)

    def test_the_flag_names_the_folder(self, tmp_path: Path, monkeypatch):
        asked = []
        make = spool_files.tempfile.TemporaryFile

        def seen(**how):
            asked.append(how["dir"])
            return make(**how)

        monkeypatch.setattr(spool_files.tempfile, "TemporaryFile", seen)
        flags = parse_flags(["--spool-dir", str(tmp_path)], {}, absolute=os.path.abspath)
        storage.open_spool(flags)().append([b"bytes"])
        assert asked == [tmp_path]


class TestMemorySpool(SpoolContract):
    @pytest.fixture
    def open_spool(self):
        return MemorySpool

    @pytest.fixture
    def full(self):
        return MemorySpool(room=1000)
