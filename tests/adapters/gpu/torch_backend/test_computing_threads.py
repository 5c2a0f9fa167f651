"""Networks run in a few threads, whoever asks: torch keeps buffers for each that ever ran one."""

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend import computing_threads
from hexfusion.adapters.gpu.torch_backend.computing_threads import (
    by_computing_thread,
    in_computing_thread,
)
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.faces.restorer import TorchFaceRestorer
from hexfusion.adapters.gpu.torch_backend.interrogate.interrogator import TorchInterrogator
from hexfusion.adapters.gpu.torch_backend.upscale.upscaler import TorchUpscaler

pytestmark = pytest.mark.torch


def elsewhere(work):
    """The result of `work`, called in a new thread, as a server's."""
    results, errors = [], []

    def call() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    if errors:
        raise errors.pop()
    return results[0]


def here() -> int:
    return threading.get_ident()


@pytest.fixture
def new_threads(monkeypatch):
    """None of them has computed for another test."""
    threads = ThreadPoolExecutor(computing_threads.MOST)
    monkeypatch.setattr(computing_threads, "_threads", threads)
    yield
    threads.shutdown()


def test_many_threads_are_served_by_one_that_computes(new_threads):
    asked, computed = set(), set()

    def ask() -> None:
        asked.add(here())
        computed.add(in_computing_thread(here))

    keep = [threading.Event() for _ in range(20)]  # a thread's number is given again when it ends
    threads = []
    for each in keep:
        done = threading.Event()

        def serve(each=each, done=done) -> None:
            ask()
            done.set()
            each.wait(60)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        assert done.wait(60)
    for each in keep:
        each.set()
    assert len(asked) == 20
    assert len(computed) == 1
    assert not asked & computed


def test_as_many_compute_as_ask_at_once():
    both = threading.Barrier(2, timeout=60)
    work = lambda: in_computing_thread(both.wait)  # noqa: E731
    one = threading.Thread(target=work)
    one.start()
    assert elsewhere(work) in (0, 1)
    one.join(60)
    assert not one.is_alive()


def test_a_thread_that_computes_does_it_itself():
    """Were it handed over again, as many jobs as there are threads would wait for ever."""

    def twice() -> tuple[int, int]:
        return here(), in_computing_thread(here)

    first, second = elsewhere(lambda: in_computing_thread(twice))
    assert first == second


def test_the_main_thread_computes_itself():
    """There Ctrl-C must be heard."""
    assert threading.current_thread() is threading.main_thread()
    assert in_computing_thread(here) == here()


def test_the_callers_context_goes_along_and_stays_the_callers():
    word: ContextVar[str] = ContextVar("word", default="none")

    def work() -> str:
        seen = word.get()
        word.set("changed there")
        return seen

    def call() -> tuple[str, str]:
        word.set("given")
        return in_computing_thread(work), word.get()

    assert elsewhere(call) == ("given", "given")
    assert elsewhere(lambda: in_computing_thread(word.get)) == "none"


def test_an_error_comes_back_and_the_thread_goes_on():
    def fail() -> None:
        raise ValueError("no picture")

    with pytest.raises(ValueError, match="no picture"):
        elsewhere(lambda: in_computing_thread(fail))
    assert elsewhere(lambda: in_computing_thread(lambda: 7)) == 7


def test_nothing_is_kept_of_what_was_computed():
    class Picture:
        pass

    def work() -> Picture:
        return Picture()

    made = elsewhere(lambda: in_computing_thread(work))
    gone = weakref.ref(made)
    del made
    elsewhere(lambda: in_computing_thread(lambda: None))  # whoever held on has let go by now
    assert gone() is None


def test_there_is_a_bound():
    assert computing_threads._threads._max_workers == computing_threads.MOST


@pytest.mark.parametrize(
    "method",
    [
        TorchInference.render,
        TorchInference.load,
        TorchUpscaler.upscale,
        TorchFaceRestorer.restore,
        TorchInterrogator.caption,
        TorchInterrogator.tags,
    ],
    ids=lambda method: method.__qualname__,
)
def test_whatever_runs_networks_is_handed_over(method):
    assert method.__wrapped__
    assert method.__code__ is by_computing_thread(lambda self: None).__code__


def test_inference_mode_holds_where_the_work_is_done():
    """torch's modes belong to a thread."""

    class Engine:
        @by_computing_thread
        @torch.inference_mode()
        def look(self) -> bool:
            return torch.is_inference_mode_enabled()

    assert elsewhere(Engine().look)
