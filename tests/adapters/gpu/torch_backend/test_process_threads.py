"""Several backends in one process, which has one number of threads for torch."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hexfusion import bootstrap
from hexfusion.adapters.gpu.torch_backend.devices import ProcessThreads

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def afterwards_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def build(folder: Path, *flags: str) -> None:
    common = ("--data-dir", str(folder), "--no-download-sd-model", "--backend", "torch")
    bootstrap.build([*common, *flags])


@pytest.mark.parametrize("first", [(), ("--threads", "1")])
def test_a_second_build_leaves_the_first_ones_threads_alone(
    first: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path, *first)
    decided = torch.get_num_threads()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        build(tmp_path, "--threads", str(decided + 1))
    assert torch.get_num_threads() == decided
    assert f"--threads {decided + 1} has no effect" in caplog.text
    assert f"with {decided} in the whole of this process" in caplog.text


def test_the_first_decides_and_who_agrees_hears_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads, more = ProcessThreads(), torch.get_num_threads() + 1
    with caplog.at_level(logging.WARNING):
        threads.use(more)
        assert torch.get_num_threads() == more
        threads.use(more)
        threads.use(None)
        assert not caplog.records
        threads.use(more + 1)
    assert torch.get_num_threads() == more
    assert len(caplog.records) == 1


def test_torchs_choice_is_a_choice_too(caplog: pytest.LogCaptureFixture) -> None:
    threads, before = ProcessThreads(), torch.get_num_threads()
    with caplog.at_level(logging.WARNING):
        threads.use(None)
        threads.use(before + 1)
    assert torch.get_num_threads() == before
    assert len(caplog.records) == 1
