"""Grouping over the real backend: fewer loads, the same pictures (docs/adr/0018)."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from benchmarks.residency import Way, linked, run  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import write_small  # noqa: E402

pytestmark = pytest.mark.torch


def test_two_checkpoints_in_turn_are_loaded_once_each_and_draw_the_same(tmp_path):
    model = tmp_path / "small.safetensors"
    write_small(model)
    data = linked(tmp_path / "data", model, 2)
    way = Way(checkpoints=2, kept=1, overtakes=0)
    plain = run(data, way, requests=6, steps=1)
    grouped = run(data, replace(way, overtakes=8), requests=6, steps=1)
    kept = run(data, replace(way, kept=2), requests=6, steps=1)
    assert (plain.loads, grouped.loads, kept.loads) == (6, 2, 2)
    assert plain.pictures == grouped.pictures == kept.pictures
    assert len(set(plain.pictures)) == 6
