"""What every test may ask for."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "long: of a file that takes long for its number of tests; begun first"
    )
    config.addinivalue_line(
        "markers", "waits: mostly for time to pass; not repeated where torch is absent"
    )
    call_localhost()


def call_localhost() -> None:
    """Falcon's test client calls for `falconframework.org`, a name that no server of ours is."""
    made = testing.TestClient.__init__

    def make(self: testing.TestClient, app: Any, headers: Any = None) -> None:
        made(self, app, {"Host": "localhost", **(headers or {})})

    testing.TestClient.__init__ = make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that processes that share the files out end at about one time.

    Where torch is absent, what needs it is skipped and says so.
    """
    items.sort(key=lambda item: "long" not in item.keywords)
    if importlib.util.find_spec("torch") is None:
        absent = pytest.mark.skip(reason="torch is absent")
        for item in items:
            if "torch" in item.keywords:
                item.add_marker(absent)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Recordings were computed by one thread. How many there are is one setting for the process,
    and the first backend's: here it is decided before there is any."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Vectors that travel with the project."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recordings and pictures too big for the repository: `../shared`, or $HEXFUSION_SHARED."""
    path = Path(os.environ.get("HEXFUSION_SHARED", ROOT.parent / "shared"))
    if not (path / "golden").is_dir():
        pytest.skip(f"recordings are absent: {path / 'golden'}")
    return path
