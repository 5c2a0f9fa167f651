"""The recorded behaviour that the prompt language and infotext are held to."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def prompt_vectors(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "prompt_vectors.json").read_text(encoding="utf-8"))
