"""What every spool must do. Subclass it where the implementation's tests are."""

import threading

import pytest

from hexfusion.application.ports.spool import SpoolError


class SpoolContract:
    """Subclasses give the fixture `open_spool`, which makes empty ones, and `full`, one that has
    room for 1,000 bytes."""

    def test_bytes_come_back_from_where_they_begin(self, open_spool):
        spool = open_spool()
        first = spool.append([b"one", b"", b"two"])
        second = spool.append([b"three"])
        assert (first, second) == (0, 6)
        assert spool.read(second, 5) == b"three"
        assert spool.read(first, 6) == b"onetwo"
        assert spool.read(3, 3) == b"two"
        assert spool.read(first, 0) == b""

    def test_spools_do_not_share_their_bytes(self, open_spool):
        one, other = open_spool(), open_spool()
        one.append([b"one"])
        other.append([b"other"])
        assert (one.read(0, 3), other.read(0, 5)) == (b"one", b"other")

    def test_many_megabytes(self, open_spool):
        spool, piece = open_spool(), bytes(range(256)) * 4096
        start = spool.append(piece for _ in range(8))
        assert spool.read(start + 5 * len(piece), 2 * len(piece)) == piece * 2

    def test_many_may_read_while_one_appends(self, open_spool):
        spool = open_spool()
        starts = [spool.append([b"%04d" % number * 1000]) for number in range(50)]
        wrong: list[int] = []

        def read() -> None:
            for number, start in enumerate(starts):
                if spool.read(start, 4000) != b"%04d" % number * 1000:
                    wrong.append(number)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for number in range(50):
            spool.append([b"more" * number])
        for thread in threads:
            thread.join()
        assert not wrong

    def test_what_is_closed_is_gone(self, open_spool):
        for before in ([], [b"bytes"]):
            spool = open_spool()
            if before:
                spool.append(before)
            spool.close()
            spool.close()
            with pytest.raises(SpoolError, match="given up"):
                spool.read(0, 5)
            with pytest.raises(SpoolError, match="given up"):
                spool.append([b"more"])

    def test_a_full_disk_is_told(self, full):
        full.append([b"a" * 900])
        with pytest.raises(SpoolError, match="No space left on device"):
            full.append([b"b" * 900])
        assert full.read(0, 900) == b"a" * 900
