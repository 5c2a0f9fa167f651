"""The end of the process."""

import threading

from hexfusion.adapters.leaving import leave


def test_whoever_is_left_behind_does_not_keep_the_process():
    done, ended = threading.Event(), []
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert leave(3, exit_now=ended.append) == 3
    finally:
        done.set()
        thread.join()
    assert ended == [3]


def test_everything_is_closed_although_one_cannot_be(caplog):
    closed = []

    def fail() -> None:
        closed.append("a")
        raise OSError("disk full")

    leave(0, fail, lambda: closed.append("b"), exit_now=lambda status: None)
    assert closed == ["a", "b"]
    assert "disk full" in caplog.text
