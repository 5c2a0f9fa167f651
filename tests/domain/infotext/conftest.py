"""The recorded behaviour that infotext is held to."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "golden" / "prompt_vectors.json"


@pytest.fixture(scope="session")
def prompt_vectors() -> dict[str, Any]:
    return json.loads(VECTORS.read_text(encoding="utf-8"))
