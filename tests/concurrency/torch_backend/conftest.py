"""Nothing here can even be imported without torch; such a run says so and goes on."""

import importlib.util

TORCH = importlib.util.find_spec("torch") is not None

collect_ignore_glob = [] if TORCH else ["test_*.py"]


def pytest_report_collectionfinish() -> str:
    return "" if TORCH else "torch is absent: tests/concurrency/torch_backend is left out"
