"""Nothing here can even be imported without torch; such a run says so and goes on."""

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace

import pytest

TORCH = importlib.util.find_spec("torch") is not None

collect_ignore_glob = [] if TORCH else ["test_*.py"]


def pytest_report_collectionfinish() -> str:
    return "" if TORCH else "torch is absent: tests/concurrency/torch_backend is left out"


@pytest.fixture(autouse=True)
def actors_compute_themselves(monkeypatch):
    """The threads that compute are no actors: what they do could not be staged."""
    from hexfusion.adapters.gpu.torch_backend import computing_threads

    def submit(*work: Callable[..., object]) -> SimpleNamespace:
        run, *given = work
        return SimpleNamespace(result=lambda: run(*given))

    monkeypatch.setattr(computing_threads, "_threads", SimpleNamespace(submit=submit))
