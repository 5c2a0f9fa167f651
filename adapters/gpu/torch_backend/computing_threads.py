"""The threads that compute, whoever asks.

torch and the libraries below it keep buffers for every thread that ever ran a network. A server has
a hundred threads, which take requests in turn: a thousand requests left 1.2 GB where one thread
leaves 0.6 (`benchmarks.soak`). So the work of a network is handed to the few threads here. There
are as many as have ever computed at once: one a running job, and one for its previews.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Most threads that compute; who comes then waits for one.
MOST = 64

_computing: ContextVar[bool] = ContextVar("computing", default=False)
# Starts a thread when none of its own is idle, and so no more than have computed at once.
_threads = ThreadPoolExecutor(MOST, thread_name_prefix="computing")


def in_computing_thread(work: Callable[[], T]) -> T:
    """Do the work in a thread that computes, in the caller's context, and wait for its result.

    A thread that computes does it itself. So does the main thread, which is one: there it can be
    stopped by Ctrl-C.
    """
    if _computing.get() or threading.current_thread() is threading.main_thread():
        return work()

    def marked() -> T:
        _computing.set(True)
        return work()

    return _threads.submit(copy_context().run, marked).result()


def by_computing_thread(method: Callable[P, T]) -> Callable[P, T]:
    """The method, wrapped so that each call is done by a thread that computes."""

    @wraps(method)
    def handing_over(*args: P.args, **named: P.kwargs) -> T:
        return in_computing_thread(partial(method, *args, **named))

    return handing_over
