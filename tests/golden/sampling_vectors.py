"""Reads `sampling_vectors.json`: what the reference programs computed (its `meta` says how)."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _sections() -> dict[str, Any]:
    path = Path(__file__).with_suffix(".json")
    return json.loads(path.read_text(encoding="utf-8"))["sections"]


def section(name: str) -> Any:
    """The data of one section; its `about` in the file gives the exact set-up."""
    return _sections()[name]["data"]


def distance(got: Iterable[float], want: Iterable[float]) -> float:
    """Largest |got - want| / max(1, |want|), the file's own tolerance rule."""
    pairs = zip(map(float, got), want, strict=True)
    return max((abs(g - w) / max(1.0, abs(w)) for g, w in pairs), default=0.0)
