"""A bound for those who wait outside the queue."""

import threading

import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.jobs.waiting_room import WaitingRoom, places
from hexfusion.application.system.options import ChangeOptions
from hexfusion.domain.errors import ShareTaken, TooManyWaiting
from tests.application.boards import PATIENCE, start, wait_for


def test_one_more_than_there_are_places_is_refused_at_once():
    room = WaitingRoom("a checkpoint to load", waiting=1)
    with room.place(), room.place():
        with pytest.raises(TooManyWaiting, match="2 requests wait for a checkpoint") as refused:
            room.bounded(lambda: None)(None)
        assert refused.value.retry_after >= 1
    assert room.bounded(lambda number: number + 1)(None, 1) == 2


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_who_fails_leaves_their_place(error):
    def fail():
        raise error

    room = WaitingRoom("it", waiting=0)
    for _ in range(3):
        with pytest.raises(type(error)):
            room.bounded(fail)("ann")
    with room.place():
        pass


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_never_more_are_inside_than_places_and_all_leave(waiting):
    room, go, lock = WaitingRoom("it", waiting), threading.Event(), threading.Lock()
    inside = most = 0

    @room.bounded
    def act():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        go.wait(PATIENCE)
        with lock:
            inside -= 1

    asked = [start(lambda: act(None)) for _ in range(16)]
    wait_for(lambda: sum(bool(outcome) for _, outcome in asked) == 16 - places(waiting))
    go.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    refused = [each for _, (each,) in asked if isinstance(each, TooManyWaiting)]
    assert (most, inside, len(refused)) == (places(waiting), 0, 16 - places(waiting))


def test_one_party_leaves_places_to_others():
    room = WaitingRoom("a checkpoint to load", waiting=4)
    with room.place("ann"), room.place("ann"), room.place("ann"):
        with pytest.raises(ShareTaken, match="ann has 3 requests waiting for a checkpoint to load"):
            room.bounded(lambda: None)("ann")
        with room.place("bob"), room.place("bob"), pytest.raises(TooManyWaiting):
            room.bounded(lambda: None)("eve")
        assert room.bounded(lambda number: number)("bob", 2) == 2
    assert room.bounded(lambda: 1)("ann") == 1


def test_options_that_load_wait_in_the_room_and_others_do_not():
    loading, go, store = threading.Event(), threading.Event(), MemoryOptions()

    def load(options):
        loading.set()
        assert go.wait(PATIENCE)

    change = ChangeOptions(
        store,
        find_checkpoint=lambda name: None,
        on_change={"sd_model_checkpoint": load},
        loads=WaitingRoom("a checkpoint to load", waiting=0),
    )
    thread, outcome = start(lambda: change({"sd_model_checkpoint": "b", "jpeg_quality": 70}))
    assert loading.wait(PATIENCE)
    with pytest.raises(TooManyWaiting):
        change({"sd_model_checkpoint": "c"})
    change({"samples_format": "jpg", "jpeg_quality": 90})
    go.set()
    thread.join(PATIENCE)
    assert outcome == [None]
    shown = store.snapshot()
    assert (shown.text("sd_model_checkpoint"), shown.text("samples_format")) == ("b", "jpg")
    assert shown.integer("jpeg_quality") == 70  # that change was the last to be made


def test_what_another_has_loaded_meanwhile_is_not_loaded_again():
    loading, go, store, loads = threading.Event(), threading.Event(), MemoryOptions(), []

    def load(options):
        loads.append(options.text("sd_model_checkpoint"))
        loading.set()
        assert go.wait(PATIENCE)

    change = ChangeOptions(
        store, find_checkpoint=lambda name: None, on_change={"sd_model_checkpoint": load}
    )
    asked = [start(lambda: change({"sd_model_checkpoint": "b"})) for _ in range(3)]
    assert loading.wait(PATIENCE)
    go.set()
    for thread, outcome in asked:
        thread.join(PATIENCE)
        assert outcome == [None]
    assert loads == ["b"]
