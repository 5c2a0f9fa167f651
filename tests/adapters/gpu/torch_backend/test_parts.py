"""The torch backend as flags and options say (spec networks.md 1.5, api.md 17.1)."""

import os

import pytest

from hexfusion.adapters.gpu.parts import Files
from hexfusion.adapters.gpu.torch_backend.parts import TorchParts
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.domain.flags import parse_flags

NO_FILES = Files(lambda folder, wanted: [], lambda path, content: None, lambda: b"")


def made(options: dict[str, object], *flags: str) -> TorchParts:
    words = ["--use-cpu", "all", *flags]
    return TorchParts(parse_flags(words, {}, absolute=os.path.abspath), stored(options), NO_FILES)


def stored(options: dict[str, object]) -> MemoryOptions:
    kept = MemoryOptions()
    kept.update(options)
    return kept


def test_how_many_checkpoints_stay_is_asked_of_options_and_flags():
    options = {
        "sd_checkpoints_limit": 3, "sd_checkpoint_cache": 2, "sd_checkpoints_keep_in_cpu": False,
    }  # fmt: skip
    limits = made(options, "--model-vram", "100", "--model-ram", "200")._limits()
    assert (limits.count, limits.cached, limits.only_last) == (3, 2, False)
    assert (limits.device, limits.ram) == (100 << 20, 200 << 20)


def test_where_no_flag_bounds_bytes_the_machine_does():
    limits = made({})._limits()
    assert limits.device > 1 << 20
    assert limits.ram > 1 << 20


def test_options_count_as_they_are_when_it_is_asked():
    kept = MemoryOptions()
    flags = parse_flags(["--use-cpu", "all"], {}, absolute=os.path.abspath)
    parts = TorchParts(flags, kept, NO_FILES)
    before = parts._limits()
    kept.update({"sd_checkpoints_limit": before.count + 4})
    assert parts._limits().count == before.count + 4


@pytest.mark.parametrize("part", ["inference", "upscaler", "interrogator", "faces"])
def test_each_part_is_made_once(part: str):
    parts = made({})
    assert getattr(parts, part) is getattr(parts, part)
